import Catalog
import Engine
import Model
import Restore
import Workloads

/// One drill, from its first name to its evidence: whatever happens in between, it is cleared up.
struct DrillRun: Sendable {
    let application: Application
    let open: OpenRepository
    let drill: PreparedDrill

    /// - Throws: `RecoveryRefused` when something stands in the way: nothing was changed then.
    func carryOut(_ progress: ProgressDisplay) async throws -> (report: DrillReport, hash: String) {
        let plan = drill.prepared.plan
        if plan.findings.contains(where: { $0.severity != .warning }) {
            // The run itself refuses, and says why.
            _ = try await drill.prepared.run.execute(
                run: drill.wish.run, findings: plan.findings, unattended: true)
        }
        let declared = application.started
        let before = try await liveSide()
        let isolation = drill.isolation
        let recovery: RecoveryReport
        var verdict = DrillVerdict()
        var verified: TimeSpan?
        do {
            try await BlockingPool.shared.run { try DrillDirectory.make(isolation) }
            recovery = try await recover(plan, declared, progress)
            verdict.add(recovery, plan: plan, snapshots: drill.snapshots)
            verdict.add(drill.sample)
            verdict.addDegradation(drill.failing, plan: plan, report: recovery)
            if recovery.result != .interrupted {
                try await application.proveAssertions(of: drill, recovery, &verdict)
                verified = application.now - declared
            }
        } catch {
            _ = await cleanUp()
            guard !(error is CancellationError), !(error is RecoveryRefused) else { throw error }
            throw Failure(wrapping: error)
        }
        let cleanup = await cleanUp()
        return try await conclude(
            recovery, verdict, cleanup, before: before, verified: verified)
    }

    /// What must be the same when the drill is over; nil where nothing could be touched.
    private func liveSide() async throws -> [String: String]? {
        let containers = try await drill.engine?.liveSide()
        let guests = try await application.guests(of: drill.isolation)?.liveSide()
        if containers == nil, guests == nil { return nil }
        return (containers ?? [:]).merging(guests ?? [:]) { first, _ in first }
    }

    private func recover(
        _ plan: RecoveryPlan, _ declared: Timestamp, _ progress: ProgressDisplay
    ) async throws -> RecoveryReport {
        let application = application
        let live = LiveView(plan, title: "drill") { application.now - declared }
        let reporter = RestoreReporter(
            plan, output: application.output, progress: progress, live: live)
        let preparation = application.now - declared
        return try await progress.during {
            try await drill.prepared.run.execute(
                run: drill.wish.run, declared: declared, preparation: preparation,
                findings: plan.findings, unattended: true, observe: reporter.observe)
        }
    }

    /// Also when the drill itself is to end: nothing cancels it.
    private func cleanUp() async -> DrillCleanup {
        application.output.note("clearing up")
        return await Task { [self] () async -> DrillCleanup in
            let entries = (try? await open.catalog.journal(of: drill.wish.run)) ?? []
            return await application.cleanUp(
                drill.isolation, names: entries.filter { $0.kind == .making }.map(\.name),
                engine: drill.engine)
        }.value
    }

    /// The evidence: durable before anything says how it went.
    private func conclude(
        _ recovery: RecoveryReport, _ verdict: DrillVerdict, _ cleanup: DrillCleanup,
        before: [String: String]?, verified: TimeSpan?
    ) async throws -> (report: DrillReport, hash: String) {
        try await Task { [self] () async throws -> (report: DrillReport, hash: String) in
            var verdict = verdict
            if let before, let after = try? await liveSide() {
                verdict.addLiveSide(before: before, after: after)
            }
            var deviations = recovery.findings.map(\.message)
            if recovery.result == .interrupted { deviations.append("it was ended by a person") }
            deviations += recovery.notes.filter { $0.contains("time of day") }
            let report = drill.orders.report(
                recovery, verdict: verdict, cleanup: cleanup, deviations: deviations,
                at: application.now, verified: verified,
                earlier: try await EvidenceChain(open.catalog))
            let kept = try await EvidenceChain.append(
                to: open.catalog, of: drill.wish.run, at: application.now, drill: report)
            if var record = try await open.catalog.runs(
                .drill, idPrefix: "\(drill.wish.run)", limit: 1
            ).first {
                record.result = report.results.outcome
                record.finished = application.now
                try await open.catalog.finishRun(record)
            }
            try await application.markDrilled(report, open)
            return (report, kept.hash)
        }.value
    }
}
