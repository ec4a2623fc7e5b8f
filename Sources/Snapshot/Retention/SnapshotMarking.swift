import CLinux
public import Catalog
import Engine
import Glibc
public import Model
public import Repository

/// Pins and accepts snapshots.
///
/// What a person says is a record in this machine's chain: it survives the loss of the catalog, and
/// every other machine learns of it.
public struct SnapshotMarking: Sendable {
    private let repository: BackupRepository
    private let catalog: Catalog

    public init(repository: BackupRepository, catalog: Catalog) {
        self.repository = repository
        self.catalog = catalog
    }

    /// Says something about snapshots; durable when this returns.
    ///
    /// - Parameters:
    ///   - host: This machine.
    ///   - version: The version of `dr`.
    public func say(_ changes: [MarkChange], at time: Timestamp, host: String, version: String)
        async throws
    {
        guard !changes.isEmpty else { return }
        let run = RunRecord(
            purpose: .prune, host: host, processID: getpid(), version: version, started: time)
        try await ChainKeeping(repository: repository, catalog: catalog)
            .append(run: run, at: time, marks: changes)
        try await learn()
    }

    /// Brings the catalog's marks up to what the chains say; costs a listing when nothing is new.
    ///
    /// What the catalog knows and damaged or hidden records may have said stays: a pin is never lost
    /// because somebody hides the record that says it.
    public func learn() async throws {
        let lengths = try await repository.chainLengths()
        let read = try await catalog.markedUpTo()
        guard lengths != read else { return }
        let hasShrunk = read.contains { writer, length in (lengths[writer] ?? 0) < length }
        if !read.isEmpty, !hasShrunk, try await !newRecordsHaveMarks(lengths, after: read) {
            return try await catalog.rememberMarks(read: lengths)
        }
        let chains = try await repository.readChains()
        var marks = chains.marks.holding
        if hasShrunk || !chains.findings.isEmpty {
            let said = chains.marks.cleared.union(marks.map(Self.key))
            marks += try await catalog.marks().filter {
                !said.contains(Self.key($0)) && !chains.removed.contains($0.snapshot)
            }
        }
        let longest = lengths.merging(read) { max($0, $1) }
        try await catalog.replace(marks: marks, read: hasShrunk ? longest : lengths)
    }

    private func newRecordsHaveMarks(
        _ lengths: [WriterID: UInt64], after read: [WriterID: UInt64]
    ) async throws -> Bool {
        for (writer, length) in lengths {
            let known = read[writer] ?? 0
            guard known < length else { continue }
            for sequence in (known + 1)...length {
                do {
                    if try await repository.chainRecord(writer, sequence).marks != nil {
                        return true
                    }
                } catch is FormatError {
                    continue
                } catch is ObjectMissing {
                    continue
                }
            }
        }
        return false
    }

    private static func key(_ mark: MarkedSnapshot) -> ChainMarks.Key {
        ChainMarks.Key(snapshot: mark.snapshot, mark: mark.mark)
    }
}
