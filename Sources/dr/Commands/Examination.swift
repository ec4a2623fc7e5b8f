import Model

/// What `dr doctor` has found.
struct Examination: Presentable {
    private enum State: String {
        case good = "ok"
        case mended
        /// Nothing is broken, and yet something should be done.
        case advice
        case bad = "wrong"
    }

    private struct Finding {
        var subject: String
        var state: State
        var text: String
        var hint: String?
    }

    private var findings: [Finding] = []

    /// Nothing is wrong; what was mended is not wrong any more.
    var isWell: Bool { findings.allSatisfy { $0.state != .bad } }

    func isWell(in subject: String) -> Bool {
        findings.allSatisfy { $0.subject != subject || $0.state != .bad }
    }

    mutating func good(_ subject: String, _ text: String) {
        findings.append(Finding(subject: subject, state: .good, text: text))
    }

    mutating func mended(_ subject: String, _ text: String) {
        findings.append(Finding(subject: subject, state: .mended, text: text))
    }

    mutating func bad(_ subject: String, _ failure: Failure) {
        findings.append(
            Finding(
                subject: subject, state: .bad, text: failure.description, hint: failure.hint))
    }

    mutating func advice(_ subject: String, _ text: String, hint: String) {
        findings.append(Finding(subject: subject, state: .advice, text: text, hint: hint))
    }

    /// Notes what `body` says of `subject`, or why it failed.
    mutating func attempt(
        _ subject: String, _ body: () async throws -> String
    ) async throws {
        do { good(subject, try await body()) } catch {
            if error is CancellationError { throw error }
            bad(subject, Failure(wrapping: error))
        }
    }

    var json: JSONValue {
        [
            "well": .bool(isWell),
            "findings": .array(
                findings.map {
                    .members([
                        "subject": .string($0.subject), "state": .string($0.state.rawValue),
                        "text": .string($0.text), "hint": $0.hint.map { .string($0) },
                    ])
                }),
        ]
    }

    func write(to page: inout Page) {
        for finding in findings {
            let state: StyledText =
                switch finding.state {
                case .good: StyledText("ok     ", .good)
                case .mended: StyledText("mended ", .warning)
                case .advice: StyledText("advice ", .warning)
                case .bad: StyledText("wrong  ", .bad)
                }
            page.line(state + StyledText("\(finding.subject): \(finding.text)"))
            if let hint = finding.hint { page.line(StyledText("       hint: \(hint)")) }
        }
    }
}
