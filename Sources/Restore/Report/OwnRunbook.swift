public import Model

/// What a person follows when this machine is lost: its own services, order, times and contacts, under
/// the headings of all runbooks.
public struct OwnRunbook: Sendable {
    /// What the page tells beside the plan.
    public struct Facts: Sendable {
        public var host: String
        public var program: String
        public var repository: String
        /// Where the configuration is.
        public var configuration: String
        /// Whom to call, in words.
        public var contacts: [String]
        /// One line on the last drill.
        public var drill: String

        public init(
            host: String, program: String, repository: String, configuration: String,
            contacts: [String], drill: String
        ) {
            self.host = host
            self.program = program
            self.repository = repository
            self.configuration = configuration
            self.contacts = contacts
            self.drill = drill
        }
    }

    private let plan: RecoveryPlan
    private let facts: Facts
    private let manual: [ServiceName: [ManualStep]]

    /// - Parameters:
    ///   - plan: Of everything, to this machine.
    ///   - services: Those of the configuration.
    public init(_ plan: RecoveryPlan, services: [Service], facts: Facts) {
        self.plan = plan
        self.facts = facts
        manual = Dictionary(services.map { ($0.name, $0.manual) }) { first, _ in first }
    }

    private var title: String { "Runbook: \(facts.host) is lost" }

    private var made: String {
        "Made by dr \(facts.program) on \(plan.made.shortDescription). \(facts.drill)."
    }

    /// Markdown. Names from outside cannot become markup.
    public var markdown: String {
        "# \(markdownSafe(title))\n\n\(markdownSafe(made))\n" + blocks.map(\.markdown).joined()
    }

    /// One page that needs nothing else, made to be printed.
    public var html: String {
        let body = "<p class=\"dim\">\(escaped(made))</p>\n" + blocks.map { $0.html() }.joined()
        return HTMLPage(title: title, body: body).text
    }

    private var blocks: [ReportBlock] {
        [
            ReportBlock(
                "When",
                items: [
                    "\(facts.host), or what runs on it, is gone: disk dead, provider gone, machine "
                        + "stolen or encrypted"
                ]), objective, before, steps, proof, failing,
        ]
    }

    private var objective: ReportBlock {
        var items: [String] = []
        if let rto = plan.objectives.rto { items.append("everything is back within \(rto)") }
        if let rpo = plan.objectives.rpo { items.append("no more than \(rpo) of data is lost") }
        if let forecast = plan.forecast {
            items.append(
                forecast.isMeasured
                    ? "forecast: \(forecast.expected), between \(forecast.shortest) and "
                        + "\(forecast.longest)"
                    : "forecast: about \(forecast.expected), never measured")
        }
        return ReportBlock(
            "Objective",
            head: ["wave", "service", "after", "RTO", "RPO", "healthy after", "bytes", "as of"],
            rows: plan.services.map { service in
                let bytes = service.snapshots.reduce(into: ByteCount(0)) { $0 += $1.bytes }
                return [
                    "\(service.wave)", service.name.text,
                    service.after.map(\.text).joined(separator: ", "),
                    service.objectives.rto.map { "\($0)" } ?? "-",
                    service.objectives.rpo.map { "\($0)" } ?? "-",
                    service.expected.map { "\($0)" } ?? "-", "\(bytes)",
                    service.asOf?.shortDescription ?? "never saved",
                ]
            }, items: items)
    }

    private var before: ReportBlock {
        var items = facts.contacts.map { "call: \($0)" }
        items += [
            "write down when the outage began",
            "make sure that the old machine is off, and stays off",
            "the backups are in \(facts.repository)",
            "have the repository's password at hand: without it nothing can be read",
        ]
        for item in plan.uncovered {
            let what = item.workload?.text ?? item.service.text
            items.append("does not come back: \(what): \(item.reason)")
        }
        return ReportBlock("Before you touch anything", items: items)
    }

    private var steps: ReportBlock {
        var items = [
            "install dr \(facts.program) and put the password into a file: "
                + "export DR_PASSWORD_FILE=/etc/dr/password",
            "dr snapshots --repository \(facts.repository)",
            "dr restore --path \(facts.configuration) --to /tmp/configuration/ --repository "
                + "\(facts.repository); read it, correct it, put it to \(facts.configuration)",
            "dr plan",
            "dr restore --to here --declared TIME",
        ]
        for service in plan.services {
            for step in manual[service.name] ?? [] {
                items.append("by hand, \(step.moment.rawValue) \(service.name): \(step.message)")
            }
        }
        return ReportBlock(
            "Steps", head: ["", "what the restore does, in this order", "service"],
            rows: plan.steps.filter { $0.message == nil }.enumerated().map { place, step in
                [
                    "\(place + 1)", step.title,
                    step.services.map(\.text).joined(separator: ", "),
                ]
            }, items: items)
    }

    private var proof: ReportBlock {
        ReportBlock(
            "How to know it worked", head: ["service", "must hold"],
            rows: plan.services.flatMap { service in
                service.checks.map { [service.name.text, $0] }
            },
            items: ["dr report: every service is recovered, exit code 0", "dr backup, dr doctor"])
    }

    private var failing: ReportBlock {
        ReportBlock(
            "If it fails",
            items: [
                "killed, rebooted, interrupted: dr restore --resume",
                "something is in the way: dr plan names it; --replace moves it aside",
                "the newest state is not the right one: dr snapshots, then --at",
                "the repository is damaged: dr check --read-data tells what is lost",
            ])
    }
}
