import CLinux
public import Catalog
public import Engine
import Glibc
public import Model
public import Repository
public import Workloads

/// A night: captures workloads one after the other, each into a snapshot of its own.
///
/// A workload that fails does not stop the others. The order of writing is always: packs durable,
/// then the snapshot's record, then the row in the catalog.
public struct BackupRun: Sendable {
    /// What a run needs.
    public struct Parts: Sendable {
        public var repository: BackupRepository
        public var index: any ChunkIndex
        public var catalog: Catalog
        public var driverFor: @Sendable (WorkloadKind) -> any WorkloadDriver
        /// What a container's capture leaves out because a dump holds it.
        public var dumpedMounts:
            @Sendable (DockerSpecification, WorkloadContext) async throws
                -> [String]
        public var context: WorkloadContext
        public var timepiece: any Timepiece
        public var host: String
        public var version: String

        public init(
            repository: BackupRepository, index: any ChunkIndex, catalog: Catalog,
            driverFor: @escaping @Sendable (WorkloadKind) -> any WorkloadDriver,
            dumpedMounts:
                @escaping @Sendable (DockerSpecification, WorkloadContext) async throws
                -> [String] = { _, _ in [] },
            context: WorkloadContext, timepiece: any Timepiece, host: String, version: String
        ) {
            self.repository = repository
            self.index = index
            self.catalog = catalog
            self.driverFor = driverFor
            self.dumpedMounts = dumpedMounts
            self.context = context
            self.timepiece = timepiece
            self.host = host
            self.version = version
        }
    }

    private let parts: Parts
    private let options: WriteOptions
    private let report: @Sendable (BackupEvent) -> Void

    public init(
        _ parts: Parts, options: WriteOptions = WriteOptions(),
        report: @escaping @Sendable (BackupEvent) -> Void = { _ in }
    ) {
        self.parts = parts
        self.options = options
        self.report = report
    }

    /// Captures every workload of `services`.
    ///
    /// - Throws: `Failure` only for what concerns the whole run; a workload's failure is part of the
    ///   summary.
    public func run(_ services: [Service], tags: [String] = []) async throws -> BackupSummary {
        let began = parts.timepiece.monotonic
        var record = RunRecord(
            purpose: .backup, host: parts.host, processID: getpid(),
            version: parts.version, started: parts.timepiece.wall)
        try await parts.catalog.beginRun(record)
        // First the session, then the condemned lists: prune writes them in the other order.
        let lease = try await parts.repository.beginSession(
            host: parts.host, processID: record.processID, timepiece: parts.timepiece)
        let condemned = try await parts.repository.condemnedPacks()
        let session = parts.repository.makeWriteSession(
            index: UncondemnedIndex(parts.index, without: condemned), options: options)
        let jobs = services.flatMap { service in
            service.workloads.map { (service, $0) }
        }
        var summary = BackupSummary(
            run: record.id, started: record.started, duration: .zero, items: [],
            stored: ByteCount(0))
        do {
            for (number, (service, workload)) in jobs.enumerated() {
                try Task.checkCancellation()
                let id = WorkloadID(
                    service: service.name, kind: workload.kind, name: workload.name)
                report(.began(id, number: number + 1, of: jobs.count))
                summary.items.append(
                    try await capture(
                        workload, id, of: service, run: record.id, tags: tags,
                        to: Target(session: session, lease: lease, condemned: condemned)))
            }
        } catch {
            session.cancel(error)
            try? await close(session)
            await lease.end()
            record.finished = parts.timepiece.wall
            record.result = Failure(wrapping: error).code
            record.summary = "ended early"
            try? await parts.catalog.finishRun(record)
            throw error
        }
        let added = summary.items.compactMap(\.snapshot)
        if !added.isEmpty {
            try await ChainKeeping(repository: parts.repository, catalog: parts.catalog)
                .append(run: record, at: parts.timepiece.wall, added: added)
        }
        summary.stored = session.totals.stored
        try await close(session)
        await lease.end()
        summary.duration = parts.timepiece.monotonic - began
        record.finished = parts.timepiece.wall
        record.result = summary.exitCode
        let saved = summary.items.count { $0.failure == nil }
        record.summary = "\(saved) of \(summary.items.count) workloads saved"
        try await parts.catalog.finishRun(record)
        return summary
    }

    /// Where a run writes to.
    private struct Target {
        var session: WriteSession
        var lease: SessionLease
        var condemned: Set<PackID>
    }

    private func close(_ session: WriteSession) async throws {
        try await BlockingPool.shared.run { session.close() }
    }

    private func capture(
        _ workload: WorkloadSpecification, _ id: WorkloadID, of service: Service, run: RunID,
        tags: [String], to target: Target
    ) async throws -> BackupSummary.Item {
        let session = target.session
        let began = parts.timepiece.monotonic
        let asOf = parts.timepiece.wall
        var item = BackupSummary.Item(
            workload: id, service: service.name, suspicions: [], omissions: [], notes: [],
            statistics: CaptureStatistics(), duration: .zero)
        do {
            let previous = try await parts.catalog.snapshots(SnapshotFilter(workload: id, limit: 1))
            let before = session.totals.stored
            let sink = RepositoryCaptureSink(
                session: session, previous: previous.first,
                makeReader: { [parts] in
                    parts.repository.makeReader(index: parts.index, cache: ByteCount(8 << 20))
                },
                advance: { [report] in report(.advanced($0)) })
            var context = parts.context
            context.report = { [report] in report(.said(id, $0)) }
            var workload = workload
            if case .docker(var docker) = workload {
                docker.excludedMounts += try await parts.dumpedMounts(docker, context)
                workload = .docker(docker)
            }
            let outcome = try await parts.driverFor(workload.kind)
                .capture(workload, of: service, into: sink, context: context)
            try await BlockingPool.shared.run { try session.flush() }
            var snapshot = SnapshotRecord(
                id: .random(), workload: id, service: service.name, kind: workload.kind,
                host: parts.host, run: run, asOf: asOf)
            snapshot.finished = parts.timepiece.wall
            snapshot.consistency = outcome.consistency
            snapshot.suspicions = outcome.suspicions
            snapshot.omissions = unique(outcome.omissions + sink.omissions)
            snapshot.notes = outcome.notes
            snapshot.parts = sink.parts
            snapshot.proof = outcome.proof
            snapshot.statistics = sink.statistics
            snapshot.statistics.bytesStored = ByteCount(
                session.totals.stored.bytes - before.bytes)
            snapshot.tags = tags
            snapshot.version = parts.version
            try await parts.repository.commit(
                snapshot, session: session, lease: target.lease, index: parts.index,
                known: target.condemned)
            try await parts.catalog.record(snapshot: snapshot)
            item.snapshot = snapshot.id
            item.consistency = snapshot.consistency
            item.suspicions = snapshot.suspicions
            item.omissions = snapshot.omissions
            item.notes = snapshot.notes
            item.statistics = snapshot.statistics
            item.duration = parts.timepiece.monotonic - began
            report(.saved(snapshot, took: item.duration))
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            if Task.isCancelled { throw CancellationError() }
            let failure = Failure(wrapping: error)
            item.failure = failure
            item.duration = parts.timepiece.monotonic - began
            report(.failed(id, failure, took: item.duration))
            // A store that does not take what it is given fails every workload that follows.
            if failure.side == .repository || failure.side == .local { throw failure }
        }
        return item
    }

    /// Without repetitions, in the first order.
    private func unique(_ texts: [String]) -> [String] {
        var seen: Set<String> = []
        return texts.filter { seen.insert($0).inserted }
    }
}
