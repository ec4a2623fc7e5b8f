public import Model

/// The moment that things are brought back to.
public enum RecoveryMoment: Sendable, Hashable {
    /// The newest good snapshot of each workload.
    case latest
    /// The newest good snapshot that stands for this moment or an earlier one.
    case time(Timestamp)
    /// The snapshots that one run took: a recovery point.
    case run(RunID)
    /// This snapshot, whatever is said of it; the other workloads as its run left them.
    case snapshot(SnapshotID)

    /// Reads what a person writes after `--at`.
    ///
    /// A time in RFC 3339; `2026-11-22`, `2026-11-22 03:00` (UTC); `yesterday`, `yesterday 3am`;
    /// `6h ago`; `latest`; or the first digits, at least four, of a snapshot's or a run's id.
    ///
    /// - Throws: `Failure` with code `usage` for anything else, and for digits that fit several.
    public init(parsing text: String, now: Timestamp, among snapshots: [SnapshotRecord]) throws {
        let word = text.lowercased()
        if word == "latest" {
            self = .latest
        } else if let time = Self.time(word, now: now) {
            self = .time(time)
        } else {
            self = try Self.named(word, among: snapshots)
        }
    }

    private static func named(_ word: String, among snapshots: [SnapshotRecord]) throws -> Self {
        let digits = Set("0123456789abcdef")
        guard word.count >= 4, word.allSatisfy({ digits.contains($0) }) else {
            throw Failure(
                .usage, "\(printable(word.utf8)) is neither a time nor an id",
                hint: "give a time like 2026-11-22T03:00:00Z, or an id that dr snapshots shows")
        }
        var found: [RecoveryMoment] = []
        for snapshot in snapshots where snapshot.id.description.hasPrefix(word) {
            found.append(.snapshot(snapshot.id))
        }
        for run in Set(snapshots.map(\.run)) where run.description.hasPrefix(word) {
            found.append(.run(run))
        }
        guard let only = found.first else {
            throw Failure(
                .usage, "no snapshot and no run begins with \(word)",
                hint: "dr snapshots lists them")
        }
        guard found.count == 1 else {
            throw Failure(
                .usage, "\(found.count) snapshots and runs begin with \(word)",
                hint: "give more digits")
        }
        return only
    }

    private static func time(_ word: String, now: Timestamp) -> Timestamp? {
        if let exact = Timestamp(rfc3339: word) { return exact }
        if let exact = Timestamp(rfc3339: word + "Z") { return exact }
        if let exact = Timestamp(rfc3339: word + ":00Z") { return exact }
        // A day stands for all of it.
        if let day = Timestamp(rfc3339: word + "T00:00:00Z") {
            return day + TimeSpan(nanoseconds: 86_400_000_000_000 - 1)
        }
        if word.hasSuffix(" ago"), let span = TimeSpan(parsing: String(word.dropLast(4))) {
            return Timestamp(nanoseconds: now.nanoseconds - span.nanoseconds)
        }
        let day: Int64 = 86_400
        let midnight = now.wholeSeconds - ((now.wholeSeconds % day) + day) % day
        for (name, start) in [("yesterday", midnight - day), ("today", midnight)]
        where word.hasPrefix(name) {
            let rest = word.dropFirst(name.count).drop { $0 == " " }
            if rest.isEmpty {
                return Timestamp(nanoseconds: (start + day) * 1_000_000_000 - 1)
            }
            guard let second = secondOfDay(String(rest)) else { return nil }
            return Timestamp(nanoseconds: (start + second) * 1_000_000_000)
        }
        return nil
    }

    /// Seconds since midnight of `3am`, `11:30pm`, `03:00` or `15:04:05`.
    private static func secondOfDay(_ text: String) -> Int64? {
        var text = text
        var shift: Int64?
        if text.hasSuffix("am") { shift = 0 }
        if text.hasSuffix("pm") { shift = 12 }
        if shift != nil {
            text = String(text.dropLast(2)).replacing(" ", with: "")
        } else if !text.contains(":") {
            return nil
        }
        let pieces = text.split(separator: ":", omittingEmptySubsequences: false)
        let numbers = pieces.compactMap { Int64($0) }
        guard numbers.count == pieces.count, (1...3).contains(numbers.count) else { return nil }
        var hour = numbers[0]
        if let shift {
            guard (1...12).contains(hour) else { return nil }
            hour = hour % 12 + shift
        }
        let minute = numbers.count > 1 ? numbers[1] : 0
        let second = numbers.count > 2 ? numbers[2] : 0
        guard (0..<24).contains(hour), (0..<60).contains(minute), (0..<60).contains(second) else {
            return nil
        }
        return hour * 3600 + minute * 60 + second
    }
}
