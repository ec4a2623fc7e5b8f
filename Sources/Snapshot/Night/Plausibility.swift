public import Model

/// Compares a snapshot with the last good one of the same workload: what fell off a cliff is
/// suspicious. Pure.
///
/// What is small may change at will; that something is empty which was not is never overlooked.
public struct Plausibility: Sendable {
    /// Below these a loss in percent means nothing.
    static let fewRows: UInt64 = 20
    static let fewFiles: UInt64 = 10
    static let fewBytes: UInt64 = 1 << 20
    /// Tables with at least so many rows are looked at one by one.
    static let largeTable: UInt64 = 1000
    /// Losses of one kind that are named one by one.
    private static let shown = 3

    public var rules: PlausibilityRules
    /// What is empty is as it should be.
    public var allowsEmpty: Bool

    public init(rules: PlausibilityRules, allowsEmpty: Bool) {
        self.rules = rules
        self.allowsEmpty = allowsEmpty
    }

    /// - Returns: What is not plausible, in words; empty when all is.
    public func suspicions(of new: SnapshotRecord, against old: SnapshotRecord) -> [String] {
        var found: [String] = []
        found += rows(new, old)
        found += parts(new, old)
        return found.map { "\($0) in the last good snapshot \(old.id.short)" }
    }

    // MARK: Rows

    private func rows(_ new: SnapshotRecord, _ old: SnapshotRecord) -> [String] {
        guard !old.proof.rows.isEmpty else { return [] }
        let (before, now) = (Self.byDatabase(old.proof.rows), Self.byDatabase(new.proof.rows))
        var found: [String] = []
        for (database, count) in before.sorted(by: { $0.key < $1.key }) {
            // A database that is gone as a whole is told by its part.
            guard let left = now[database] else { continue }
            let shown = printable(database.utf8)
            if let loss = loss(left, count, limit: rules.rows, few: Self.fewRows) {
                found.append("database \(shown) has \(left) rows: \(loss) than the \(count)")
                continue
            }
            let tables = old.proof.rows.filter {
                $0.value >= Self.largeTable && Self.database(of: $0.key) == database
            }.sorted { $0.key < $1.key }.compactMap { table, count -> String? in
                guard let left = new.proof.rows[table],
                    let loss = loss(left, count, limit: rules.rows, few: Self.fewRows)
                else { return nil }
                let shown = printable(table.utf8)
                return "table \(shown) has \(left) rows: \(loss) than the \(count)"
            }
            found += Self.few(tables)
        }
        return found
    }

    private static func database(of table: String) -> Substring {
        table.prefix { $0 != "." }
    }

    private static func byDatabase(_ rows: [String: UInt64]) -> [String: UInt64] {
        var sums: [String: UInt64] = [:]
        for (table, count) in rows {
            let (sum, isTooMuch) = sums[String(database(of: table)), default: 0]
                .addingReportingOverflow(count)
            sums[String(database(of: table))] = isTooMuch ? .max : sum
        }
        return sums
    }

    // MARK: Parts

    private func parts(_ new: SnapshotRecord, _ old: SnapshotRecord) -> [String] {
        var found: [String] = []
        for part in old.parts where part.kind != .document {
            let shown = Self.name(of: part)
            guard let now = new.part(part.name) else {
                // Of what is named in the configuration only a whole database can vanish unasked.
                if part.name.hasPrefix("database/") {
                    found.append("\(shown) is gone; it was there")
                }
                continue
            }
            // Numbered parts follow the configuration: another path is another tree.
            guard now.attributes["path"] == part.attributes["path"] else { continue }
            let (files, left) = (old.proof.files[part.name], new.proof.files[part.name])
            if let files, let left,
                let loss = loss(left, files, limit: rules.files, few: Self.fewFiles)
            {
                found.append("\(shown) holds \(left) files: \(loss) than the \(files)")
            } else if let loss = loss(
                now.bytes.bytes, part.bytes.bytes, limit: rules.bytes, few: Self.fewBytes)
            {
                found.append("\(shown) holds \(now.bytes): \(loss) than the \(part.bytes)")
            }
        }
        return Self.few(found)
    }

    private static func name(of part: SnapshotPart) -> String {
        if let volume = part.attributes["volume"] { return "volume \(printable(volume.utf8))" }
        if let database = part.attributes["database"] {
            return "database \(printable(database.utf8))"
        }
        return printable((part.attributes["path"] ?? part.name).utf8)
    }

    /// How much less it is, in words; nil when that is plausible.
    private func loss(_ now: UInt64, _ before: UInt64, limit: Int, few: UInt64) -> String? {
        guard now < before else { return nil }
        if now == 0 { return allowsEmpty ? nil : "100 % less" }
        guard before >= few else { return nil }
        let percent = Int((Double(before - now) / Double(before) * 100).rounded(.down))
        return percent > limit ? "\(percent) % less" : nil
    }

    private static func few(_ texts: [String]) -> [String] {
        guard texts.count > shown else { return texts }
        return Array(texts.prefix(shown)) + ["\(texts.count - shown) more of that kind"]
    }
}
