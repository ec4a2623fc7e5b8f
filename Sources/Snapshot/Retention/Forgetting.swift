public import Catalog
import Engine
import Glibc
import CLinux
public import Model
public import Repository

/// Removes snapshots' records, with a tombstone in this machine's chain first.
public struct Forgetting: Sendable {
    private let repository: BackupRepository
    private let catalog: Catalog
    private let host: String
    private let version: String

    public init(repository: BackupRepository, catalog: Catalog, host: String, version: String) {
        self.repository = repository
        self.catalog = catalog
        self.host = host
        self.version = version
    }

    /// Decides by `policy` for every snapshot that the catalog knows.
    public func decide(_ policy: RetentionPolicy, now: Timestamp) async throws
        -> [RetentionDecision]
    {
        let pinned = try await catalog.snapshots(marked: .pinned)
        let good = Set(try await catalog.snapshots(SnapshotFilter(onlyGood: true)).map(\.id))
        let candidates = try await catalog.snapshots().map { snapshot in
            RetentionCandidate(
                snapshot: snapshot.id, workload: snapshot.workload, asOf: snapshot.asOf,
                isGood: good.contains(snapshot.id), isPinned: pinned.contains(snapshot.id))
        }
        return policy.decide(candidates, now: now)
    }

    /// Removes `snapshots`. Their bytes stay until they are pruned.
    ///
    /// The tombstone comes first: a removal that is cut off leaves snapshots that are removed again,
    /// never one that is missed.
    public func forget(_ snapshots: [SnapshotID], at time: Timestamp) async throws {
        guard !snapshots.isEmpty else { return }
        let run = RunRecord(
            purpose: .prune, host: host, processID: getpid(), version: version, started: time)
        try await ChainKeeping(repository: repository, catalog: catalog)
            .append(run: run, at: time, added: [], removed: snapshots)
        for snapshot in snapshots {
            try await repository.remove(snapshot)
            try await catalog.remove(snapshot: snapshot)
        }
    }
}
