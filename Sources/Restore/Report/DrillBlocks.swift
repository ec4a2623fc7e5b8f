import Model

extension ReportBlock {
    /// The twelve blocks, in the order that auditors read them.
    static func all(_ report: DrillReport, notes: [EvidenceRecord], hash: String) -> [ReportBlock] {
        [
            identity(report), scenario(report), inputs(report), objectives(report),
            timeline(report), results(report), verification(report),
            ReportBlock(
                "Deviations",
                items: report.deviations
                    + notes.filter { $0.note?.kind == .observation }
                    .compactMap(DrillWords.note)), cleanup(report), actions(report, notes),
            trend(report), attestation(report, notes, hash),
        ]
    }

    private static func identity(_ report: DrillReport) -> ReportBlock {
        let identity = report.identity
        return ReportBlock(
            "Identity",
            rows: [
                ["drill", "\(identity.drill)"], ["plan", identity.plan],
                ["plan hash", identity.planHash],
                ["configuration hash", identity.configurationHash],
                [
                    "configuration commit",
                    identity.configurationCommit ?? "not in a Git repository",
                ],
                ["program", "dr \(identity.program)"], ["operator", identity.operatorName],
                ["host", identity.host], ["repository", "\(identity.repository)"],
                ["began", "\(identity.began)"], ["ended", "\(identity.ended)"],
                ["clock", identity.clock],
            ])
    }

    private static func scenario(_ report: DrillReport) -> ReportBlock {
        let scenario = report.scenario
        var rows = [
            ["presumed lost", scenario.presumedLost],
            ["scope", scenario.scope.map(\.text).joined(separator: ", ")],
            ["mode", scenario.mode], ["reason", scenario.reason],
        ]
        if !scenario.failing.isEmpty {
            rows.append(["failed on purpose", scenario.failing.joined(separator: ", ")])
        }
        if !scenario.without.isEmpty {
            rows.append(["without", scenario.without.map(\.text).joined(separator: ", ")])
        }
        return ReportBlock(
            "Scenario", rows: rows, items: scenario.outOfScope.map { "out of scope: \($0)" })
    }

    private static func inputs(_ report: DrillReport) -> ReportBlock {
        ReportBlock(
            "Inputs", head: ["workload", "snapshot", "as of", "bytes", "repository", "facts"],
            rows: report.inputs.map { input in
                [
                    input.workload.text, input.snapshot.short, "\(input.asOf)", "\(input.bytes)",
                    input.repository,
                    input.facts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
                        .joined(separator: "; "),
                ]
            })
    }

    private static func objectives(_ report: DrillReport) -> ReportBlock {
        func row(_ name: String, _ objectives: Objectives) -> [String] {
            [
                name, objectives.rto.map { "\($0)" } ?? "none",
                objectives.rpo.map { "\($0)" } ?? "none",
            ]
        }
        return ReportBlock(
            "Objectives", head: ["of", "recovery time", "recovery point"],
            rows: [row("the whole", report.objectives.whole)]
                + report.objectives.services.sorted { $0.key < $1.key }.map {
                    row($0.key, $0.value)
                })
    }

    private static func timeline(_ report: DrillReport) -> ReportBlock {
        let timeline = report.timeline
        let moments: [(String, TimeSpan?)] = [
            ("planned", timeline.planned), ("first byte", timeline.firstByte),
            ("data restored", timeline.dataRestored), ("started", timeline.started),
            ("healthy", timeline.healthy), ("verified", timeline.verified),
        ]
        var rows = [["declared", "0.0 s", "\(timeline.declared)"]]
        for (name, at) in moments {
            rows.append([
                name, at.map { "\($0)" } ?? "not reached",
                at.map { "\(timeline.declared + $0)" } ?? "",
            ])
        }
        rows.append(["machine time", "\(timeline.machineTime)", ""])
        rows.append(["waiting for people", "\(timeline.humanWaiting)", ""])
        return ReportBlock(
            "Timeline", head: ["moment", "since declared", "time"], rows: rows,
            items: timeline.criticalPath.map { "critical path: \($0)" })
    }

    private static func results(_ report: DrillReport) -> ReportBlock {
        let results = report.results
        func met(_ flag: Bool?) -> String { flag.map { $0 ? "met" : "MISSED" } ?? "no objective" }
        var rows = [
            ["outcome", results.outcome.meaning],
            [
                "recovery time",
                (results.recoveryTime.map { "\($0)" } ?? "not reached")
                    + ", \(met(results.meetsRecoveryTime))",
            ],
            [
                "recovery point",
                (results.recoveryPoint.map { "\($0)" } ?? "not reached")
                    + ", \(met(results.meetsRecoveryPoint))",
            ],
            ["bytes", "\(results.bytes)"], ["throughput", "\(results.throughput)/s"],
            ["retries", "\(results.retries)"], ["steps executed", "\(results.executed)"],
        ]
        for service in report.recovery.services {
            rows.append([
                service.name.text,
                "\(service.state.rawValue), \(ReportWords.time(service, in: report.recovery))",
            ])
        }
        let failed = report.recovery.steps.filter { $0.state == .failed }.map {
            "failed: \($0.title): \($0.message ?? "")"
        }
        return ReportBlock(
            "Results", rows: rows,
            items: failed + results.notExecuted.map { "not executed: \($0)" })
    }

    private static func verification(_ report: DrillReport) -> ReportBlock {
        ReportBlock(
            "Verification", head: ["kind", "of", "outcome", "detail"],
            rows: report.verification.map {
                [$0.kind, $0.subject, $0.outcome.rawValue, $0.detail]
            })
    }

    private static func cleanup(_ report: DrillReport) -> ReportBlock {
        let cleanup = report.cleanup
        return ReportBlock(
            "Cleanup",
            rows: [
                ["began", cleanup.began.map { "\($0)" } ?? "not done"],
                ["ended", cleanup.ended.map { "\($0)" } ?? ""],
                ["created", "\(cleanup.created.count)"], ["removed", "\(cleanup.removed.count)"],
                ["residue", cleanup.isDone ? "\(cleanup.residue.count)" : "not known"],
                ["result", cleanup.isClean ? "nothing is left" : "NOT CLEAN"],
            ],
            items: cleanup.residue.map { "left: \($0)" } + cleanup.problems
                + cleanup.removed.map { "removed \($0)" })
    }

    private static func actions(_ report: DrillReport, _ notes: [EvidenceRecord]) -> ReportBlock {
        ReportBlock(
            "Corrective actions",
            items: report.actions.map { "open: \(DrillWords.action($0))" }
                + notes.filter { [.action, .closed].contains($0.note?.kind) }
                .compactMap(DrillWords.note))
    }

    private static func trend(_ report: DrillReport) -> ReportBlock {
        ReportBlock(
            "Trend", head: ["drill", "declared", "recovery time", "bytes", "throughput", "passed"],
            rows: report.trend.drills.map {
                [
                    $0.drill.short, $0.declared.shortDescription,
                    $0.recoveryTime.map { "\($0)" } ?? "not reached", "\($0.bytes)",
                    "\($0.throughput)/s", $0.isPassed ? "yes" : "no",
                ]
            }, items: report.trend.estimate.map { ["today's size would take about \($0)"] } ?? [])
    }

    private static func attestation(
        _ report: DrillReport, _ notes: [EvidenceRecord], _ hash: String
    ) -> ReportBlock {
        let attestation = report.attestation
        let accepted = notes.filter { $0.note?.kind == .accepted }.compactMap(DrillWords.note)
        return ReportBlock(
            "Attestation",
            rows: [
                ["passed", attestation.isPassed ? "yes" : "no"],
                [
                    "counts until",
                    attestation.isPassed
                        ? "\(attestation.expires), or until plan, configuration or program change"
                        : "never counted",
                ],
                [
                    "accepted",
                    accepted.isEmpty ? "by nobody yet" : accepted.joined(separator: "; "),
                ],
                ["evidence", "sha256 \(hash), in the catalog's chain: dr report verify"],
                ["kept", attestation.retention],
            ])
    }
}
