import Model

/// What `vzdump` said of one guest, on standard error or in a log file.
struct VzdumpLog: Sendable {
    /// What a dump's bytes agree with.
    private(set) var consistency = Consistency.crash
    /// Why it is no better, for people; nil when there is nothing to say.
    private(set) var reason: String?
    private(set) var warnings: [String] = []
    /// What made the dump fail.
    private(set) var errors: [String] = []
    /// Whether the words are vzdump's at all.
    private(set) var isThere = false

    init(_ text: String) {
        var freeze = false
        var freezeError: String?
        var skipped: String?
        for line in text.split(whereSeparator: \.isNewline) {
            guard let (level, words) = Self.message(line) else { continue }
            isThere = true
            switch level {
            case "WARN": warnings.append(words)
            case "ERROR":
                // A freeze that failed does not make the dump fail.
                if Self.isAboutFreeze(words) { freezeError = words } else { errors.append(words) }
            default:
                if words.hasPrefix("issuing guest-agent 'fs-freeze'") { freeze = true }
                if words.hasPrefix("skipping guest filesystem freeze") { skipped = words }
                if words == "status = stopped" || words.hasPrefix("backup mode: stop") {
                    consistency = .application
                }
                if words.hasPrefix("create storage snapshot")
                    || words.hasPrefix("backup mode: suspend")
                {
                    consistency = max(consistency, .fileSystem)
                }
            }
        }
        if freeze, freezeError == nil { consistency = max(consistency, .fileSystem) }
        guard consistency == .crash else { return }
        if let freezeError {
            reason = "the guest agent did not freeze the file systems: \(freezeError)"
        } else {
            reason = skipped ?? "the guest agent was not asked to freeze the file systems"
        }
    }

    /// `INFO: text`, with or without the time in front that log files have.
    private static func message(_ line: Substring) -> (level: Substring, words: String)? {
        var rest = line
        let fields = line.split(separator: " ", maxSplits: 2)
        if fields.count == 3, fields[0].count == 10, fields[0].dropFirst(4).hasPrefix("-") {
            rest = fields[2]
        }
        guard let colon = rest.firstIndex(of: ":") else { return nil }
        let level = rest[..<colon]
        guard ["INFO", "WARN", "ERROR"].contains(level) else { return nil }
        let words = rest[rest.index(after: colon)...].drop { $0 == " " }
        return (level, printable(words.utf8))
    }

    private static func isAboutFreeze(_ words: String) -> Bool {
        ["freeze", "thaw", "fsfreeze"].contains { words.lowercased().contains($0) }
    }
}
