import Catalog
import Engine
import Model
import Repository
import Synchronization
import Workloads

extension Night {
    /// One attempt to capture a workload into a snapshot of its own.
    ///
    /// The order of writing is always: packs durable, then the snapshot's record, then the row in the
    /// catalog.
    func capture(
        _ workload: WorkloadSpecification, _ id: WorkloadID, of service: Service, attempt: Int
    ) async throws -> BackupSummary.Item {
        let began = parts.timepiece.monotonic
        announce(id, attempt, at: began)
        var step = StepRecord(
            id: id.text, title: "capture \(id)", service: service.name, workload: id,
            state: .running)
        step.attempts = attempt
        step.started = began - self.began
        // Everything that fails but the driver concerns the whole run.
        var isOwnPart = true
        do {
            try await parts.catalog.recordStep(step, of: run)
            let generation = try parts.index.generation()
            let previous = try await wholePrevious(id)
            let sink = RepositoryCaptureSink(
                session: writing.session, previous: previous,
                makeReader: { [parts] in
                    parts.repository.makeReader(index: parts.index, cache: ByteCount(8 << 20))
                },
                advance: { [report] in report(.advanced($0)) })
            let context = context(for: id, of: service)
            let asOf = moment(of: service)
            let share = stored.begin(writing.session.totals)
            defer { stored.end(share) }
            isOwnPart = false
            let workload = try await withoutDumped(workload, context)
            let outcome = try await parts.driverFor(workload.kind)
                .capture(workload, of: service, into: sink, context: context)
            isOwnPart = true
            let session = writing.session
            try await BlockingPool.shared.run { try session.flush() }
            var snapshot = SnapshotRecord(
                id: .random(), workload: id, service: service.name, kind: workload.kind,
                host: parts.host, run: run, asOf: outcome.asOf ?? asOf)
            snapshot.finished = parts.timepiece.wall
            snapshot.consistency = outcome.consistency
            snapshot.omissions = unique(outcome.omissions + sink.omissions)
            snapshot.notes = outcome.notes
            snapshot.parts = sink.parts
            snapshot.proof = outcome.proof
            snapshot.statistics = sink.statistics
            snapshot.statistics.bytesStored = stored.share(
                share, new: sink.statistics.bytesNew, of: session.totals)
            snapshot.tags = tags
            snapshot.version = parts.version
            snapshot.suspicions = try await suspicions(of: snapshot, outcome, service)
            try Task.checkCancellation()
            try await writing.commit(snapshot)
            try await parts.catalog.record(snapshot: snapshot)
            try await parts.catalog.remember(
                Wholeness(snapshot: snapshot.id, generation: generation), of: id)
            let ended = parts.timepiece.monotonic
            step.state = .done
            step.ended = ended - self.began
            step.bytes = snapshot.statistics.bytes
            try await parts.catalog.recordStep(step, of: run)
            var item = BackupSummary.Item(snapshot)
            item.duration = ended - began
            item.attempts = attempt
            item.recovered = history.troubles[id]?.description
            state.withLock { _ = $0.saved.insert(id) }
            report(.saved(snapshot, took: item.duration))
            return item
        } catch {
            if Task.isCancelled || error is CancellationError { throw CancellationError() }
            let failure = Failure(wrapping: error)
            step.state = .failed
            step.ended = parts.timepiece.monotonic - self.began
            step.message = failure.description
            try? await parts.catalog.recordStep(step, of: run)
            // A store that does not take what it is given fails every workload that follows.
            if isOwnPart || failure.side == .repository || writing.session.hasFailed {
                end(failure)
            }
            throw failure
        }
    }

    private func announce(_ id: WorkloadID, _ attempt: Int, at time: TimeSpan) {
        let number = state.withLock { state in
            state.attempts[id] = attempt
            if state.starts[id] == nil {
                state.starts[id] = time
                state.begun += 1
            }
            return state.begun
        }
        if attempt == 1 { report(.began(id, number: number, of: plan.captures.count)) }
    }

    private func moment(of service: Service) -> Timestamp {
        let common = service.group.flatMap { group in state.withLock { $0.moments[group] } }
        return common ?? parts.timepiece.wall
    }

    /// What the driver itself found suspicious, and what a comparison with the last good one shows.
    private func suspicions(
        of snapshot: SnapshotRecord, _ outcome: CaptureOutcome, _ service: Service
    ) async throws -> [String] {
        let lastGood = try await newest(snapshot.workload, onlyGood: true)
        let plausibility = Plausibility(
            rules: service.plausibility, allowsEmpty: service.allowEmpty)
        let compared = lastGood.map { plausibility.suspicions(of: snapshot, against: $0) } ?? []
        return unique(outcome.suspicions + compared)
    }

    /// The last snapshot of a workload, against which what has not changed is recognised; nil when
    /// something of it is lost, so that everything is read again and what is still there is whole.
    private func wholePrevious(_ id: WorkloadID) async throws -> SnapshotRecord? {
        guard let previous = try await newest(id) else { return nil }
        let known = try await parts.catalog.wholeness(of: id)
        let generation = known?.snapshot == previous.id ? known?.generation : nil
        if try await writing.holds(previous, known: generation) { return previous }
        report(
            .said(
                id,
                "the repository has lost something of snapshot \(previous.id.short):"
                    + " everything is read again"))
        return nil
    }

    /// This machine's newest snapshot of a workload; that of any machine where this one has none,
    /// as after a move. Those from the future are passed over.
    private func newest(_ id: WorkloadID, onlyGood: Bool = false) async throws -> SnapshotRecord? {
        var filter = SnapshotFilter(
            workload: id, host: parts.host,
            notAfter: parts.timepiece.wall + SnapshotRecord.clockTolerance, onlyGood: onlyGood,
            limit: 1)
        if let own = try await parts.catalog.snapshots(filter).first { return own }
        filter.host = nil
        return try await parts.catalog.snapshots(filter).first
    }

    /// Without repetitions, in the first order.
    private func unique(_ texts: [String]) -> [String] {
        var seen: Set<String> = []
        return texts.filter { seen.insert($0).inserted }
    }
}
