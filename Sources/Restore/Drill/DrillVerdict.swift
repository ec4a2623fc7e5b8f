import Engine
public import Model

/// What a drill proved, read from its recovery and what was looked at after it.
public struct DrillVerdict: Sendable {
    public var verification: [DrillReport.Verification] = []

    public init() {}

    /// Whether something that was looked at is not as it must be.
    public var hasFailed: Bool { verification.contains { $0.outcome == .failed } }

    /// Proofs that the restore itself made: rows and files against the manifest, health checks.
    public mutating func add(
        _ report: RecoveryReport, plan: RecoveryPlan, snapshots: [SnapshotRecord]
    ) {
        let records = Dictionary(snapshots.map { ($0.id, $0) }) { first, _ in first }
        for (planned, step) in zip(plan.steps, report.steps) {
            let outcome = Self.outcome(step)
            if planned.phase == .healthy {
                guard !planned.checks.isEmpty else { continue }
                let words = planned.checks.map(\.check.summary).joined(separator: "; ")
                verification.append(
                    .init(
                        "check", planned.services.first?.text ?? planned.id, outcome,
                        outcome == .passed ? words : "\(words): \(step.message ?? "not reached")"))
            } else if planned.phase == .data, let replay = planned.replay,
                let proof = records[replay.snapshot]?.proof
            {
                add(proof, replay, planned, step, outcome)
            }
        }
    }

    private mutating func add(
        _ proof: Proof, _ replay: PlannedStep.Replay, _ planned: PlannedStep, _ step: StepReport,
        _ outcome: DrillReport.Verification.Outcome
    ) {
        let why = outcome == .passed ? "" : ": \(step.message ?? step.problems.first ?? "")"
        if !proof.rows.isEmpty {
            let database = replay.step.split(separator: ":", maxSplits: 1).last.map(String.init)
            let own = proof.rows.filter {
                $0.key.hasPrefix("\(database ?? "").") || replay.kind == .sqlite
            }
            let sequences = proof.sequences.filter { $0.key.hasPrefix("\(database ?? "").") }
            let rows = own.values.reduce(0, +)
            verification.append(
                .init(
                    "rows", planned.title, outcome,
                    "\(rows) rows of \(own.count) tables and \(sequences.count) sequences, as "
                        + "recorded at capture\(why)"))
        } else if planned.bytes.bytes > 0 {
            verification.append(
                .init(
                    "data", planned.title, outcome,
                    "\(step.bytes) of \(planned.bytes) written, every chunk verified by its "
                        + "name\(why)"))
        }
    }

    /// Files that were compared with the repository.
    public mutating func add(_ sample: SampleComparison) {
        for result in sample.compared {
            let detail =
                "\(result.files) of \(result.filesInAll ?? result.files) files, \(result.bytes), "
                + "seed \(sample.seed)"
            verification.append(
                .init(
                    "sample", result.step, result.differences.isEmpty ? .passed : .failed,
                    ([detail] + result.differences.prefix(5)).joined(separator: "; ")))
        }
    }

    /// What was made to fail must take with it what depends on it, and nothing else.
    public mutating func addDegradation(
        _ failing: Set<String>, plan: RecoveryPlan, report: RecoveryReport
    ) {
        guard !failing.isEmpty else { return }
        var lost = failing
        // Steps stand after what they need.
        for step in plan.steps where step.needs.contains(where: lost.contains) {
            lost.insert(step.id)
        }
        let states = Dictionary(report.steps.map { ($0.id, $0.state) }) { first, _ in first }
        for id in failing.sorted() where states[id] != .failed {
            verification.append(
                .init("degradation", id, .failed, "it was to fail, and did not come to it"))
        }
        let wrong = plan.steps.filter { step in
            let state = states[step.id]
            if failing.contains(step.id) { return false }
            return lost.contains(step.id) ? state != .notExecuted : state != .done
        }
        let count = lost.count - failing.count
        verification.append(
            .init(
                "degradation", failing.sorted().joined(separator: ", "),
                wrong.isEmpty ? .passed : .failed,
                wrong.isEmpty
                    ? "\(count) steps that need it were not executed, the other "
                        + "\(plan.steps.count - lost.count) were done"
                    : "not as the plan says: "
                        + wrong.prefix(5).map {
                            "\($0.id) is \(states[$0.id]?.rawValue ?? "unknown")"
                        }.joined(separator: ", ")))
    }

    /// The rest of the machine before and after.
    public mutating func addLiveSide(before: [String: String], after: [String: String]) {
        let changed = Set(before.keys).union(after.keys).filter { before[$0] != after[$0] }.sorted()
        verification.append(
            .init(
                "live side", "containers, volumes and networks of others",
                changed.isEmpty ? .passed : .skipped,
                changed.isEmpty
                    ? "\(before.count) things, the same before and after"
                    : "changed meanwhile, by whomever: " + changed.joined(separator: ", ")))
    }

    private static func outcome(_ step: StepReport) -> DrillReport.Verification.Outcome {
        switch step.state {
        case .done: step.problems.isEmpty ? .passed : .failed
        case .failed: .failed
        case .waiting, .running, .notExecuted: .skipped
        }
    }

    /// What the whole drill came to.
    ///
    /// - Parameter failsOnPurpose: The recovery's own result is not asked: what counts is whether it
    ///   degraded as planned.
    public func outcome(
        of report: RecoveryReport, cleanup: DrillCleanup, failsOnPurpose: Bool
    ) -> ExitCode {
        var codes: [ExitCode] = []
        let isPlanned = failsOnPurpose && report.result != .interrupted
        if !isPlanned { codes.append(report.result) }
        let counted = verification.filter { item in
            item.outcome == .failed
                && (!isPlanned || !["check", "rows", "data"].contains(item.kind))
        }
        if !counted.isEmpty { codes.append(.verificationFailed) }
        if !cleanup.isClean { codes.append(.failed) }
        return codes.contains(.interrupted) ? .interrupted : .combining(codes)
    }
}
