import Catalog
import Engine
import Model

/// What is wrong on this machine as far as receivers were told, kept between runs: so that each
/// trouble is told when it begins, and its end when it ends.
struct Troubles: Sendable, Codable, Hashable {
    /// When each began, by subject: a workload, `run`, or `overdue/` and a service.
    var since: [String: Timestamp] = [:]

    static let run = "run"
    static func overdue(_ service: ServiceName) -> String { "overdue/\(service)" }

    /// Those kept in a file; none when there is none, or it cannot be read. May block.
    static func read(from path: String) -> Troubles {
        guard let bytes = try? FileSystem().read(path) else { return Troubles() }
        return (try? StableJSON.decode(Troubles.self, from: bytes)) ?? Troubles()
    }

    /// May block.
    func write(to path: String) throws {
        let files = FileSystem()
        let directory = path.split(separator: "/").dropLast().reduce(into: "") { $0 += "/\($1)" }
        do throws(SystemError) {
            try files.makeDirectories(directory)
            try files.writeDurably(encoded(), to: path)
        } catch {
            throw error.failure(side: .local)
        }
    }

    private func encoded() -> [UInt8] { (try? StableJSON.encode(self)) ?? [] }

    /// Takes note of the state of subjects that were looked at.
    ///
    /// - Returns: Those that are in trouble and were not before, and those that were and no longer
    ///   are, with the time since when.
    mutating func update(
        bad: Set<String>, lookedAt: Set<String>, at now: Timestamp
    ) -> (new: Set<String>, gone: [String: Timestamp]) {
        let new = bad.subtracting(since.keys)
        let gone = since.filter { lookedAt.contains($0.key) && !bad.contains($0.key) }
        for subject in new { since[subject] = now }
        for subject in gone.keys { since[subject] = nil }
        return (new, gone)
    }
}
