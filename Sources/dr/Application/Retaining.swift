import Catalog
import Engine
import Model
import Repository
import Snapshot

/// What retention came to, for people and programs.
struct RetentionResult: Sendable {
    var outcome: Forgetting.Outcome
    var isDryRun: Bool

    var json: JSONValue {
        .members([
            "dry_run": .bool(isDryRun),
            "kept": .integer(Int64(outcome.decisions.count(where: \.isKept))),
            "forgotten": .integer(Int64(outcome.forgotten.count)),
            "warnings": .strings(outcome.warnings),
            "snapshots": .array(
                outcome.decisions.map { decision in
                    .members([
                        "id": .string("\(decision.snapshot)"),
                        "workload": .string(decision.workload.text),
                        "as_of": .string("\(decision.asOf)"),
                        "kept": .bool(decision.isKept),
                        "reasons": .strings(
                            decision.isKept ? decision.reasons : [decision.explanation]),
                    ])
                }),
        ])
    }
}

extension Application {
    /// Removes snapshots and their records.
    func forgetting(_ open: OpenRepository) -> Forgetting {
        Forgetting(
            repository: open.repository, catalog: open.catalog, host: host,
            version: Version.current)
    }

    /// Applies rules: decides, removes unless it is only to be shown, and says what looks wrong.
    ///
    /// - Parameter policy: Rules for all services; nil for those of the configuration.
    func retain(
        _ open: OpenRepository, services: Set<ServiceName>? = nil, policy: RetentionPolicy? = nil,
        trustsTimes: Bool = false, isDryRun: Bool = false
    ) async throws -> RetentionResult {
        let forgetting = forgetting(open)
        let now = timepiece.wall
        let outcome = try await forgetting.decide(
            services: services, now: now, trustsTimes: trustsTimes
        ) { policy ?? open.configuration.retention(of: $0) }
        for warning in outcome.warnings {
            output.warning(
                "retention holds back: \(warning)",
                hint: "look at the clocks and at dr snapshots, then: dr forget --trust-times")
        }
        if !isDryRun {
            if trustsTimes { try await forgetting.confirmTimes(at: now) }
            try await forgetting.forget(outcome.forgotten, at: now)
        }
        return RetentionResult(outcome: outcome, isDryRun: isDryRun)
    }
}
