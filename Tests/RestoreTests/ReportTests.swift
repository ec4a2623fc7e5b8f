import Engine
import Model
import Restore
import Testing

@Suite(.timeLimit(.minutes(2))) struct ReportTests {
    /// The database fails for want of a role; the files come back, one of them not.
    private func failing() async throws -> RecoveryReport {
        let stack = Stack()
        stack.world.change {
            $0.failures["umami-db/postgres:umami-db/database:umami"] = (
                1, Failure(.failed, "role \"umami\" does not exist", hint: "restore the roles")
            )
            $0.problems["site/files:files/files:/srv/www"] = ["a|b: no space <left>"]
        }
        return try await stack.execute()
    }

    @Test func impossibleTimesAreRefused() async throws {
        let report = try await Stack().execute()
        try report.validate()
        func refused(_ change: (inout RecoveryReport) -> Void) -> String? {
            var changed = report
            change(&changed)
            let failure = #expect(throws: Failure.self) { try changed.validate() }
            return failure?.message.split(separator: ": ", maxSplits: 1).last.map(String.init)
        }
        let second = TimeSpan(seconds: 1)
        #expect(refused { $0.ended = .zero - second } == "the run ended before it began")
        #expect(
            refused { $0.steps[0].ended = .zero - second }
                == "\(report.steps[0].id) ended before it started")
        #expect(
            refused { $0.steps[0].ended = TimeSpan(seconds: 900) }
                == "\(report.steps[0].id) ended after the run")
        #expect(refused { $0.steps[3].started = nil }?.hasSuffix("has no times") == true)
        #expect(refused { $0.steps[0].state = .running }?.hasSuffix("still running") == true)
        #expect(refused { $0.recoveryTime = .zero } == "the recovery time is not within the run")
        #expect(
            refused { $0.services[0].state = .failed }
                == "umami-db has a recovery time but is not healthy")
        #expect(
            refused { $0.milestones.planned = TimeSpan(seconds: 3) }
                == "first byte of the run is before planned")
        // A step cannot begin before what it needs has ended.
        let last = report.steps.count - 1
        #expect(
            refused { report in
                report.steps[last - 1].ready = .zero
                report.steps[last - 1].started = .zero
            }?.contains("started before") == true)
        #expect(
            refused { $0.steps[last].state = .failed }
                == "the result is success although a step was not done")
    }

    @Test func theReportSurvivesItsJSON() async throws {
        let report = try await failing()
        let read = try StableJSON.decode(
            RecoveryReport.self, from: StableJSON.encodePretty(report))
        #expect(read == report)
    }

    @Test func theTerminalText() async throws {
        #expect(ReportText(try await failing()).text == Goldens.failedReport)
    }

    @Test func thePlanText() async throws {
        #expect(PlanText(try await Stack().plan()).text == Goldens.plan)
    }

    @Test func aPlanSaysWhatIsWrongWithIt() async throws {
        var stack = Stack()
        stack.services[3].objectives.rpo = TimeSpan(seconds: 3600)
        stack.snapshots.remove(at: 3)
        stack.snapshots[4 - 1].omissions = ["one file"]
        var plan = try await stack.plan { request in
            request.momentText = "latest\u{1B}[31m"
            request.objectives.rto = TimeSpan(seconds: 10)
            request.measurements = [
                Measurement(
                    subject: "restore.start", kind: .docker, step: "start",
                    duration: TimeSpan(seconds: 20), at: FakeWorld.now)
            ]
        }
        plan.findings = [PlanFinding(.blocker, service: "site", "no space", hint: "free some")]
        let text = PlanText(plan, showsSteps: false).text
        for line in [
            "as of latest\\x1b[31m, planned 2026-11-22 02:00:00Z",
            "2 of 9 steps measured; objective 10 s: WILL BE MISSED",
            "  site, data 2 h 30 min old, objective 1 h 00 min: MISSED",
            "    ! partial: one file", "  caddy/docker:caddy  never captured",
            "  blocker: no space\n    free some",
        ] {
            #expect(text.contains(line), "\(line)\n\(text)")
        }
    }

    @Test func namesFromOutsideNeverBecomeMarkup() async throws {
        let report = try await failing()
        let markdown = ReportMarkdown(report).text
        #expect(markdown.contains("a\\|b: no space \\<left\\>"))
        let html = ReportHTML(report).text
        #expect(html.contains("a|b: no space &lt;left&gt;"))
        #expect(html.contains("role &quot;umami&quot; does not exist"))
        // Self-contained: nothing is fetched and nothing runs.
        for forbidden in ["<script", "http://", "https://", "src=", "@import", "url("] {
            #expect(!html.contains(forbidden), "\(forbidden)")
        }
        // Every executed step has its bar.
        #expect(html.components("class=\"bar ") == report.executed.count)
        #expect(html.contains("dr restore --resume"))
        // Every service is in the graph, and every wait between two of them.
        #expect(html.components("<rect ") == report.services.count)
        #expect(html.components("<path ") == 2)
    }
}

extension String {
    /// How often `part` occurs.
    fileprivate func components(_ part: String) -> Int { ranges(of: part).count }
}
