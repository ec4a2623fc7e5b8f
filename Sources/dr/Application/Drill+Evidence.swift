import CLinux
import Engine
import Glibc
import Model
import Repository
import Restore
import Workloads

extension Application {
    /// Who drills what, with which program and configuration.
    func identity(
        _ plan: RecoveryPlan, _ wish: DrillWish, _ open: OpenRepository
    ) async throws -> DrillReport.Identity {
        var identity = DrillReport.Identity(
            drill: wish.run,
            plan: wish.services.isEmpty
                ? "everything" : wish.services.joined(separator: ", "),
            planHash: try PlanFingerprint(plan).hash,
            configurationHash: configurationHash(open.configuration), program: Version.current,
            operatorName: operatorName, host: host, repository: open.repository.id, began: now,
            ended: now)
        identity.configurationCommit = await configurationCommit()
        return identity
    }

    /// SHA-256 of what the configuration means, defaults filled in.
    func configurationHash(_ configuration: Configuration) -> String {
        PlanFingerprint.digest(
            Array(ConfigurationDocument(configuration: configuration).json.line.utf8))
    }

    /// Who called `dr`, also through sudo.
    var operatorName: String {
        for name in ["SUDO_USER", "USER", "LOGNAME"] {
            if let user = environment[name], !user.isEmpty { return user }
        }
        return "user \(getuid())"
    }

    /// The commit of the configuration's directory; nil where Git knows of none.
    private func configurationCommit() async -> String? {
        let directory = configurationFile.directory(
            workingDirectory: environment.workingDirectory)
        let call = ProgramCall(
            ["git", "-C", directory, "rev-parse", "HEAD"], timeout: TimeSpan(seconds: 10))
        guard let result = try? await programs.run(call), result.succeeded else { return nil }
        let commit = result.text.filter { !$0.isNewline }
        return commit.isEmpty ? nil : commit
    }

    /// What is presumed, and what the drill does not cover.
    func scenario(
        _ plan: RecoveryPlan, _ wish: DrillWish, _ left: Set<ServiceName>, _ open: OpenRepository
    ) -> DrillReport.Scenario {
        let scope = plan.services.map(\.name)
        var scenario = DrillReport.Scenario(
            presumedLost: wish.services.isEmpty
                ? "the machine \(host) with everything on it"
                : "\(wish.services.joined(separator: ", ")), with what they need",
            scope: scope, reason: wish.reason)
        scenario.without = left.sorted()
        scenario.outOfScope = left.sorted().map { "\($0): left out, or it needs what is" }
        scenario.outOfScope += open.configuration.services.map(\.name).filter {
            !scope.contains($0) && !left.contains($0)
        }.map { "\($0): not asked for" }
        scenario.outOfScope += plan.uncovered.map {
            "\($0.workload?.text ?? $0.service.text): \($0.reason)"
        }
        scenario.outOfScope += plan.steps.compactMap { step in
            step.message.map { "by hand: \($0)" }
        }
        return scenario
    }

    /// The snapshots that a plan uses, with what they say of versions.
    func inputs(
        _ plan: RecoveryPlan, _ request: PlanRequest, _ open: OpenRepository
    ) async throws -> [DrillReport.Input] {
        struct Cluster: Decodable { var version: String? }
        let records = Dictionary(request.snapshots.map { ($0.id, $0) }) { first, _ in first }
        let source = source(open, nil)
        var inputs: [DrillReport.Input] = []
        for planned in plan.services.flatMap(\.snapshots) {
            var input = DrillReport.Input(
                workload: planned.workload, snapshot: planned.snapshot, asOf: planned.asOf,
                bytes: planned.bytes, repository: open.repository.store.place)
            guard let record = records[planned.snapshot] else { continue }
            input.facts["consistency"] = record.consistency.rawValue
            input.facts["dr"] = record.version
            let images = plan.steps.filter {
                $0.replay?.workload == planned.workload
                    && $0.makes.contains { name in
                        name.hasPrefix("image/")
                    }
            }
            if !images.isEmpty {
                input.facts["images"] = images.flatMap(\.makes).map { String($0.dropFirst(6)) }
                    .joined(separator: ", ")
            }
            if planned.kind == .postgres,
                let bytes = try? await source(record).document("cluster.json"),
                let cluster = try? StableJSON.decode(Cluster.self, from: bytes)
            {
                input.facts["PostgreSQL"] = cluster.version
            }
            inputs.append(input)
        }
        return inputs
    }

    /// What drills alone ask of the services that came back.
    func proveAssertions(
        of drill: PreparedDrill, _ report: RecoveryReport, _ verdict: inout DrillVerdict
    )
        async throws
    {
        let gate = HealthGate(probe: drill.probe, timepiece: timepiece)
        for service in drill.services {
            guard let state = report.services.first(where: { $0.name == service.name }) else {
                continue
            }
            for assertion in service.assertions {
                guard var check = try drill.place.check(assertion, of: service.name) else {
                    continue
                }
                guard state.isHealthy else {
                    verdict.verification.append(
                        .init(
                            "assertion", service.name.text, .skipped,
                            "\(assertion.summary): the service is not back"))
                    continue
                }
                // The service is healthy: what is not true now will hardly become so.
                check.timeout = min(check.timeout, TimeSpan(seconds: 15))
                do {
                    _ = try await gate.wait(for: check)
                    verdict.verification.append(
                        .init("assertion", service.name.text, .passed, assertion.summary))
                } catch let failure as Failure {
                    verdict.verification.append(
                        .init("assertion", service.name.text, .failed, failure.description))
                }
            }
        }
    }
}
