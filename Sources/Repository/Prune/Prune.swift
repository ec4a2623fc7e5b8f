import CLinux
import Engine
import Glibc
import Model

/// Carries out a prune; can be interrupted anywhere, and does no harm to whoever writes meanwhile.
///
/// A prune is a writer with a session like any other, so that two of them never delete at the same
/// time. What is garbage goes first, because that makes room on a full disk; then needed chunks are
/// written into new packs and the old ones go. Packs are condemned before anybody looks whether they
/// may go; they go only when no other session is live and no snapshot needs them. What must wait is
/// deleted by a later prune.
private struct PruneRun {
    let repository: BackupRepository
    let index: any ChunkIndex
    let plan: PrunePlan
    let options: WriteOptions
    let lease: SessionLease
    let owner: String?
    let progress: @Sendable (PruneProgress) -> Void
    var result = PruneResult()
    /// Packs that the store would not let go.
    var refused: Set<PackID> = []

    mutating func carryOut() async throws {
        try await delete(plan.deleted)
        guard !plan.rewrites.isEmpty else { return }
        let moved = try await PackMoving(
            repository: repository, index: index, plan: plan, options: options, progress: progress
        ).move()
        result.rewrittenPacks = moved.packs.count
        result.skippedForSpace = plan.rewrites.count - moved.packs.count
        result.writtenBytes = moved.written
        try await delete(moved.packs)
    }

    /// Condemns `packs` and deletes them, with all that was condemned before, if that may be now.
    private mutating func delete(_ packs: [PackID]) async throws {
        let earlier = try await repository.condemnedLists()
        var rest = packs.filter { !earlier.packs.contains($0) }.sorted()[...]
        // Lists that nobody can read condemn nothing any more, and go with the others.
        var keys = earlier.keys
        var condemned = earlier.packs
        while true {
            // On a full disk not every list may fit: then those that do make room for the others.
            let full = try await condemn(&rest, &keys, &condemned)
            result.liveSessions = try await repository.liveSessions(besides: lease, owner: owner)
            if !keys.isEmpty {
                try await deleteWhatMayGo(condemned, keys, hasEarlier: !earlier.keys.isEmpty)
            }
            guard let full else { return }
            if keys.isEmpty || result.liveSessions > 0 { throw full }
            keys = []
            condemned = []
        }
    }

    /// Writes lists until all of `rest` is condemned or there is no more space.
    private func condemn(
        _ rest: inout ArraySlice<PackID>, _ keys: inout [ObjectKey], _ condemned: inout Set<PackID>
    ) async throws -> Failure? {
        while !rest.isEmpty {
            let list = CondemnedList(id: .random(), packs: Array(rest.prefix(4096)))
            do {
                try await repository.put(list)
            } catch let failure as Failure where failure.code == .noSpace {
                return failure
            }
            keys.append(list.key)
            condemned.formUnion(list.packs)
            rest = rest.dropFirst(list.packs.count)
        }
        return nil
    }

    private mutating func deleteWhatMayGo(
        _ condemned: Set<PackID>, _ lists: [ObjectKey], hasEarlier: Bool
    ) async throws {
        guard result.liveSessions == 0 else {
            result.waitingPacks = max(result.waitingPacks, condemned.count)
            return
        }
        let needed = try await packsNeeded(ofThese: condemned, hasEarlier: hasEarlier)
        let doomed = condemned.subtracting(needed).sorted()
        let atOnce = repository.store.callsAtOnce
        var gone: Set<PackID> = []
        for start in stride(from: 0, to: doomed.count, by: atOnce) {
            try Task.checkCancellation()
            // Who slept too long does not know any more what others have decided.
            try lease.check()
            let some = doomed[start..<min(start + atOnce, doomed.count)]
            let outcomes = try await sideBySide(some, atOnce: atOnce) { [repository] in
                try await Self.deletion(of: $0, from: repository)
            }
            for (pack, outcome) in zip(some, outcomes) {
                switch outcome {
                case .gone(let size):
                    gone.insert(pack)
                    result.deletedPacks += size == nil ? 0 : 1
                    result.freedBytes += ByteCount(size ?? 0)
                case .refused(let failure):
                    refused.insert(pack)
                    result.refusal = result.refusal ?? failure.description
                }
            }
            progress(.deleting(start + some.count, of: doomed.count))
        }
        result.refusedPacks = refused.count
        let deleted = gone
        try await BlockingPool.shared.run { [index] in try index.remove(deleted) }
        try lease.check()
        // What must not be deleted yet stays condemned: a later prune tries again.
        if deleted.count == doomed.count {
            for list in lists { try await repository.store.delete(list) }
        }
        try? await repository.restoreReserve()
    }

    private enum Deletion: Sendable {
        /// With its size; nil when it was gone already.
        case gone(UInt64?)
        /// The store keeps it: it is locked, or these credentials may not delete.
        case refused(Failure)
    }

    private static func deletion(
        of pack: PackID, from repository: BackupRepository
    ) async throws -> Deletion {
        let key = PackLayout.objectKey(pack)
        guard let size = try await repository.store.size(key) else { return .gone(nil) }
        do {
            try await repository.store.delete(key)
            return .gone(size)
        } catch let failure as Failure where failure.code == .failed && !failure.isTransient {
            return .refused(failure)
        }
    }

    /// Packs of `condemned` that some snapshot needs after all.
    ///
    /// Snapshots may have come since the plan was made, and another prune may have taken what the
    /// plan counted on: then everything is followed once more.
    private func packsNeeded(ofThese condemned: Set<PackID>, hasEarlier: Bool) async throws
        -> Set<PackID>
    {
        let now = try await repository.snapshotsForCertain()
        let change = try await repository.refresh(index)
        guard change.unreadable.isEmpty else {
            throw Failure(
                .damaged, "a pack that cannot be read has come while packs were chosen",
                hint: "run 'dr check'; nothing more was deleted", side: .repository)
        }
        let all = hasEarlier || !change.vanished.isEmpty
        let records = try await repository.records(all ? now : now.subtracting(plan.snapshots))
        let needs = try await repository.survey(records, index, PruneOptions())
        return try await BlockingPool.shared.run { [index] in
            let usage = try index.usage { needs.live.contains($0) }
            return Set(condemned.filter { (usage[$0]?.live ?? 0) > 0 })
        }
    }
}

extension BackupRepository {
    /// Carries out a plan.
    ///
    /// - Parameters:
    ///   - lease: The session in which the plan was made; without one a session is begun now, and
    ///     the plan is refused when packs have disappeared since it was made.
    ///   - owner: As in ``beginSession(host:processID:timepiece:owner:)``; sessions of the same owner
    ///     that are left over are known to be dead.
    /// - Throws: `Failure`; code `busy` for a plan that is out of date. What was done until then
    ///   stays done, and the next prune goes on.
    public func prune(
        _ plan: PrunePlan, index: any ChunkIndex, options: WriteOptions = WriteOptions(),
        lease: SessionLease? = nil, owner: String? = nil,
        progress: @escaping @Sendable (PruneProgress) -> Void = { _ in }
    ) async throws -> PruneResult {
        let own =
            if let lease { lease } else {
                try await beginSession(
                    host: "", processID: getpid(), timepiece: SystemTimepiece(), owner: owner,
                    usesReserve: true)
            }
        do {
            if lease == nil { try await refuse(outdated: plan) }
            var run = PruneRun(
                repository: self, index: index, plan: plan, options: options, lease: own,
                owner: owner, progress: progress)
            try await run.carryOut()
            if lease == nil { await own.end() }
            return run.result
        } catch {
            if lease == nil { await own.end() }
            throw error
        }
    }

    private func refuse(outdated plan: PrunePlan) async throws {
        let gone = plan.packs.subtracting(try await listPacks().keys)
        guard gone.isEmpty else {
            throw Failure(
                .busy, "another prune has deleted packs since this one was planned",
                hint: "run dr prune again", side: .repository, isTransient: true)
        }
    }
}
