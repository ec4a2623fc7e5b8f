import Model
import Synchronization

/// Puts what `qmrestore` and `pct restore` say while they work into words for people.
final class RestoreProgress: Sendable {
    /// Percent of a disk's blocks: more often nobody wants to hear of it.
    private static let stride = 5

    private let report: @Sendable (String) -> Void
    /// The last percentage that was told.
    private let told = Mutex(0)

    init(_ report: @escaping @Sendable (String) -> Void) { self.report = report }

    /// Takes a line of standard output.
    func hear(_ line: String) {
        if let percent = Self.percent(line) {
            let isWorthwhile = told.withLock { told in
                guard percent >= told + Self.stride || (percent == 100 && told < 100) else {
                    return false
                }
                told = percent
                return true
            }
            if isWorthwhile { report("\(percent) % written") }
        } else if let name = Self.quoted(line, after: "new volume ID is ") {
            report("made volume \(printable(name.utf8))")
        } else if line.hasPrefix("extracting archive") {
            report("extracting the archive")
        } else if line.hasPrefix("merging backed-up and given configuration") {
            report("putting the configuration together")
        }
    }

    /// `progress 42% (read 14090240 bytes, duration 3 sec)`; nil for every other line.
    private static func percent(_ line: String) -> Int? {
        let lead = "progress "
        guard line.hasPrefix(lead), let sign = line.firstIndex(of: "%"),
            let percent = Int(line[..<sign].dropFirst(lead.count)), (0...100).contains(percent)
        else { return nil }
        return percent
    }

    /// What stands between apostrophes behind `lead`.
    private static func quoted(_ line: String, after lead: String) -> Substring? {
        guard line.hasPrefix(lead) else { return nil }
        return line.dropFirst(lead.count).split(separator: "'").first
    }
}
