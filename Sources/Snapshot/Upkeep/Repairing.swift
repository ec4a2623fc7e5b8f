import CLinux
public import Catalog
public import Engine
import Glibc
import Model
public import Repository

/// Sets damaged objects of a repository aside and writes off what is lost.
///
/// What can still be read of a damaged pack is stored anew first. What cannot is unknown from then
/// on: the next backup stores it again where it still exists, and every snapshot that needs it is
/// whole again, because equal content has an equal name.
public struct Repairing: Sendable {
    private let repository: BackupRepository
    private let catalog: Catalog
    private let index: any ChunkIndex
    private let timepiece: any Timepiece
    private let host: String
    private let version: String

    public init(
        repository: BackupRepository, catalog: Catalog, index: any ChunkIndex,
        timepiece: any Timepiece, host: String, version: String
    ) {
        self.repository = repository
        self.catalog = catalog
        self.index = index
        self.timepiece = timepiece
        self.host = host
        self.version = version
    }

    /// Carries out a plan; may be interrupted anywhere and done again.
    ///
    /// - Parameter progress: Told packs that are done.
    public func carryOut(
        _ plan: RepairPlan, options: WriteOptions = WriteOptions(),
        progress: @escaping @Sendable (Int) -> Void = { _ in }
    ) async throws -> SalvageResult {
        let lease = try await repository.beginSession(
            host: host, processID: getpid(), timepiece: timepiece,
            owner: try await SessionOwner.current(catalog))
        do {
            let result = try await repository.salvage(
                plan.packs, index: index, lease: lease, options: options, progress: progress)
            try await writeOff(plan)
            await lease.end()
            return result
        } catch {
            await lease.end()
            throw error
        }
    }

    /// First the tombstones, then the objects: what is cut off in between is done again.
    private func writeOff(_ plan: RepairPlan) async throws {
        if !plan.snapshots.isEmpty || !plan.records.isEmpty {
            let now = timepiece.wall
            let run = RunRecord(
                purpose: .check, host: host, processID: getpid(), version: version, started: now)
            try await ChainKeeping(repository: repository, catalog: catalog).append(
                run: run, at: now, added: [], removed: plan.snapshots, writtenOff: plan.records)
        }
        for name in plan.objects { try await repository.setAside(name) }
        for snapshot in plan.snapshots { try await catalog.remove(snapshot: snapshot) }
    }
}
