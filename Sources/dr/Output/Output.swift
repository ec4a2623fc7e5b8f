import CLinux
import Glibc
import Model
import Synchronization

/// Everything `dr` says: results on standard output, the rest on standard error.
///
/// The one place that knows about formats, colours and terminals. Safe to use from any task; lines
/// never mix. A reader that goes away (`dr ls … | head`) ends the output, not the work.
final class Output: Sendable {
    enum Format: Sendable { case human, json }

    /// How to speak, decided once from options, environment and terminals.
    struct Manner: Sendable {
        var format = Format.human
        var isQuiet = false
        /// How many times `-v` was given.
        var verbosity = 0
        var outputIsColoured = false
        var errorIsColoured = false
        /// Width of the terminal on standard output; nil when it is none.
        var outputColumns: Int?
        /// Width of the terminal on standard error; nil when it is none.
        var errorColumns: Int?
    }

    private struct State {
        var outputIsLost = false
        /// Why a result could not be written; nil where its reader went away.
        var trouble: Failure?
        /// The lines of progress that now stand on the terminal.
        var progress: [StyledText] = []
        /// Somebody is asked something there: no progress is drawn over it.
        var isHeld = false
    }

    let manner: Manner
    private let outputDescriptor: Int32
    private let errorDescriptor: Int32
    private let state = Mutex(State())

    init(
        _ manner: Manner, outputDescriptor: Int32 = STDOUT_FILENO,
        errorDescriptor: Int32 = STDERR_FILENO
    ) {
        self.manner = manner
        self.outputDescriptor = outputDescriptor
        self.errorDescriptor = errorDescriptor
    }

    /// Shows what a command was asked for.
    func present(_ result: some Presentable) {
        switch manner.format {
        case .json: write(result.json.line + "\n")
        case .human:
            var page = Page(width: manner.outputColumns)
            result.write(to: &page)
            write(page.text(coloured: manner.outputIsColoured))
        }
    }

    /// Writes text that is a document of its own, such as a schema or a script, as it is.
    func document(_ text: String) { write(text.hasSuffix("\n") ? text : text + "\n") }

    /// One line of a long work's JSON; people get nothing, they have notes and progress.
    func event(_ type: String, _ members: KeyValuePairs<String, JSONValue?>) {
        guard manner.format == .json else { return }
        write(message(type, members) + "\n")
    }

    /// Says what is going on, unless asked to be quiet.
    func note(_ text: StyledText) {
        guard !manner.isQuiet else { return }
        switch manner.format {
        case .human: writeError([text])
        case .json: break
        }
    }

    /// Says what only those want to know who asked with `-v`.
    func detail(_ text: StyledText) {
        guard manner.verbosity > 0 else { return }
        note(text)
    }

    /// Says what may become a problem.
    func warning(_ text: String, hint: String? = nil) {
        switch manner.format {
        case .json:
            let hint = hint.map { JSONValue.string($0) }
            writeError(message("warning", ["message": .string(text), "hint": hint]) + "\n")
        case .human:
            let first = StyledText("dr: ") + StyledText("warning: ", .warning) + StyledText(text)
            writeError([first] + hintLines(hint))
        }
    }

    /// Says why the command failed and what to do about it.
    func failure(_ failure: Failure) {
        switch manner.format {
        case .json: writeError(message("error", ErrorDocument.members(failure)) + "\n")
        case .human:
            var lines = failure.description.split(separator: "\n").map { StyledText("    \($0)") }
            let first = failure.description.prefix { $0 != "\n" }
            if !lines.isEmpty { lines.removeFirst() }
            lines.insert(StyledText("dr: ", .bad) + StyledText(String(first)), at: 0)
            writeError(lines + hintLines(failure.hint))
        }
    }

    /// Replaces the progress line of a terminal; nil takes it away.
    func showProgress(_ line: StyledText?) { showProgress(lines: line.map { [$0] } ?? []) }

    /// Replaces the lines of progress at the bottom of a terminal; none takes them away.
    func showProgress(lines: [StyledText]) {
        guard manner.format == .human, !manner.isQuiet, let width = manner.errorColumns else {
            return
        }
        state.withLock { state in
            let lines = lines.map { $0.truncated(to: width - 1) }
            guard lines != state.progress, !state.isHeld else { return }
            let text = Self.back(over: state.progress) + drawn(lines)
            state.progress = lines
            put(text, to: errorDescriptor)
        }
    }

    /// Takes progress off the terminal until `body` has ended.
    func withoutProgress<Value>(_ body: () async throws -> Value) async rethrows -> Value {
        showProgress(lines: [])
        state.withLock { $0.isHeld = true }
        defer { state.withLock { $0.isHeld = false } }
        return try await body()
    }

    private func drawn(_ lines: [StyledText]) -> String {
        lines.map { $0.rendered(coloured: manner.errorIsColoured) + "\u{1B}[K" }
            .joined(separator: "\n") + "\u{1B}[J"
    }

    /// Rows of the terminal on standard error, as it is now.
    var errorRows: Int {
        let rows = Int(dr_terminal_rows(errorDescriptor))
        return rows > 0 ? rows : 24
    }

    /// Moves to the beginning of what stands there.
    private static func back(over lines: [StyledText]) -> String {
        lines.count > 1 ? "\r\u{1B}[\(lines.count - 1)A" : "\r"
    }

    private func hintLines(_ hint: String?) -> [StyledText] {
        hint.map { [StyledText("hint: ", .strong) + StyledText($0)] } ?? []
    }

    private func message(_ type: String, _ members: KeyValuePairs<String, JSONValue?>) -> String {
        guard case .object(let rest) = JSONValue.members(members) else { return "{}" }
        return JSONValue.object([JSONMember("message_type", .string(type))] + rest).line
    }

    private func write(_ text: String) {
        state.withLock { state in
            if state.outputIsLost { return }
            let clears = !state.progress.isEmpty && manner.outputColumns != nil
            if clears { put(Self.back(over: state.progress) + "\u{1B}[J", to: errorDescriptor) }
            if !put(text, to: outputDescriptor) {
                let error = errno
                state.outputIsLost = true
                state.trouble = Self.trouble(error)
            }
            if clears { state.progress = [] }
        }
    }

    private func writeError(_ lines: [StyledText]) {
        writeError(lines.map { $0.rendered(coloured: manner.errorIsColoured) + "\n" }.joined())
    }

    private func writeError(_ text: String) {
        state.withLock { state in
            // What is said scrolls by above the progress, which stays where it is.
            guard !state.progress.isEmpty else {
                put(text, to: errorDescriptor)
                return
            }
            let clearing = Self.back(over: state.progress) + "\u{1B}[J"
            put(clearing + text + drawn(state.progress), to: errorDescriptor)
        }
    }

    /// What ``run`` ends with: a result that is cut short is no success.
    ///
    /// - Parameter code: What the work came to.
    func conclude(_ code: ExitCode) -> ExitCode {
        guard let trouble = state.withLock({ $0.trouble }) else { return code }
        failure(trouble)
        return code == .done ? trouble.code : code
    }

    private static func trouble(_ error: Int32) -> Failure? {
        guard error != EPIPE, error != EBADF else { return nil }
        let isFull = error == ENOSPC || error == EDQUOT || error == EFBIG
        return Failure(
            isFull ? .noSpace : .failed,
            "the result could not be written: \(String(cString: strerror(error)))",
            hint: "what standard output leads to ends too early", side: .local)
    }

    /// Whether all of it was written.
    @discardableResult
    private func put(_ text: String, to descriptor: Int32) -> Bool {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                bytes = bytes.dropFirst(count)
            } else if errno == EAGAIN {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&ready, 1, 1000)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }
}

/// A result that can be shown to a person and to a program.
protocol Presentable {
    var json: JSONValue { get }
    func write(to page: inout Page)
}

/// What a person gets to see of a result, line by line.
struct Page: Sendable {
    /// Columns of the terminal; nil when there is none and nothing is cut off.
    let width: Int?
    private(set) var lines: [StyledText] = []

    init(width: Int? = nil) { self.width = width }

    mutating func line(_ line: StyledText = "") { lines.append(line) }

    /// The lines of a text that was laid out elsewhere.
    mutating func lines(of text: String) {
        let ended = text.hasSuffix("\n") ? text.dropLast() : text[...]
        for line in ended.split(separator: "\n", omittingEmptySubsequences: false) {
            lines.append(StyledText(String(line)))
        }
    }

    mutating func table(_ table: Table) { lines += table.lines(width: width) }

    /// All lines, with colours or without.
    func text(coloured: Bool) -> String {
        lines.map { $0.rendered(coloured: coloured) + "\n" }.joined()
    }
}
