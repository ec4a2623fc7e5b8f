public import Model

/// What a power supply says of itself.
public enum PowerState: Sendable, Hashable {
    case online
    /// On battery, with time left.
    case battery
    /// On battery that will soon be empty, or told to shut the machine down.
    case low

    /// - Parameter status: NUT's `ups.status`, for example `OL CHRG` or `OB DISCHRG LB`.
    public init?(status: String) {
        let words = Set(status.split(whereSeparator: \.isWhitespace).map(String.init))
        if words.contains("FSD") {
            self = .low
        } else if words.contains("OB") {
            self = words.contains("LB") ? .low : .battery
        } else if words.contains("OL") || words.contains("BYPASS") {
            self = .online
        } else {
            return nil
        }
    }
}

/// A power supply that Network UPS Tools watch over, asked through `upsc`.
public struct PowerSupply: Sendable {
    private let rules: PowerRules
    private let programs: any ProgramRunner

    public init(_ rules: PowerRules, programs: any ProgramRunner = LocalPrograms()) {
        self.rules = rules
        self.programs = programs
    }

    /// - Throws: ``Failure`` when the supply cannot be asked, or says nothing that is known.
    public func state() async throws -> PowerState {
        let shown = printable(rules.supply.utf8)
        let result = try await programs.run(
            ProgramCall(["upsc", rules.supply, "ups.status"], timeout: TimeSpan(seconds: 10)))
        guard result.succeeded else {
            let words = result.errorText.split(whereSeparator: \.isNewline).last ?? ""
            throw Failure(
                .failed, "the power supply \(shown) does not answer",
                hint: "see what upsc \(shown) says", cause: printable(words.utf8), side: .local)
        }
        guard let state = PowerState(status: result.text) else {
            throw Failure(
                .failed, "the power supply \(shown) says nothing of its power",
                hint: "see what upsc \(shown) says",
                cause: printable(result.text.prefix { $0 != "\n" }.utf8), side: .local)
        }
        return state
    }

    /// Returns when the battery is low. A supply that cannot be asked is asked again later.
    public func untilLow() async throws {
        while true {
            try await Task.sleep(for: rules.interval.duration)
            if (try? await state()) == .low { return }
        }
    }
}
