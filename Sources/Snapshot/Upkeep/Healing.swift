import CLinux
import Catalog
public import Engine
import Glibc
public import Model
import Repository

/// What a copy gave back.
public struct HealResult: Sendable, Codable, Hashable {
    /// Snapshots whose records were gone or damaged, and are there again.
    public var returned: [SnapshotID] = []
    /// Snapshots that lacked data, and are whole again.
    public var healed: [SnapshotID] = []

    public init() {}
}

/// Gives a repository back what it has lost and a copy of it still has.
public struct Healing: Sendable {
    private let copy: Copying.Side
    private let repository: Copying.Side
    private let timepiece: any Timepiece
    private let host: String

    /// - Parameters:
    ///   - copy: Its index is up to date.
    ///   - repository: Its index knows no pack that is damaged.
    public init(
        from copy: Copying.Side, to repository: Copying.Side, timepiece: any Timepiece,
        host: String
    ) {
        self.copy = copy
        self.repository = repository
        self.timepiece = timepiece
        self.host = host
    }

    /// Brings records and data back; what the copy lacks as well stays lost.
    ///
    /// - Parameter lost: Snapshots whose records are gone or damaged.
    public func carryOut(
        lost: [SnapshotID], progress: @escaping @Sendable (ByteCount) -> Void = { _ in }
    ) async throws -> HealResult {
        var result = HealResult()
        let run = try await repository.repository.beginWriting(
            index: repository.index, host: host, processID: getpid(), timepiece: timepiece,
            owner: try await SessionOwner.current(repository.catalog))
        do {
            let copying = SnapshotCopying(
                from: copy.repository, index: copy.index, to: repository.repository, run: run,
                progress: progress)
            for id in lost {
                guard let record = try await read(id, copy.repository) else { continue }
                if try await attempt({ try await copying.copy(record) }) {
                    result.returned.append(id)
                    try await repository.catalog.record(snapshots: [record])
                }
            }
            for id in try await repository.repository.listSnapshots().sorted() {
                try Task.checkCancellation()
                guard let record = try await read(id, repository.repository),
                    try await !repository.repository.isWhole(record, index: run.index)
                else { continue }
                if try await attempt({ try await copying.heal(record) }) {
                    result.healed.append(id)
                }
            }
        } catch {
            await run.end(error)
            throw error
        }
        await run.end()
        return result
    }

    private func read(
        _ id: SnapshotID, _ repository: BackupRepository
    ) async throws -> SnapshotRecord? {
        do {
            return try await repository.snapshot(id)
        } catch is FormatError {
            return nil
        } catch is ObjectMissing {
            return nil
        }
    }

    /// False where the copy lacks it as well.
    private func attempt(_ body: () async throws -> Void) async throws -> Bool {
        do {
            try await body()
            return true
        } catch is FormatError {
            return false
        } catch is ObjectMissing {
            return false
        } catch let failure as Failure where failure.code == .damaged {
            return false
        }
    }
}
