import ArgumentParser
import Catalog
import Model
import Repository
import Restore

/// `dr status`.
struct StatusCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show whether backups are recent and quick enough.",
        discussion: """
            For people and for monitoring: it ends with 1 when the last good state of something is \
            older than its objective (rpo) or there is none, with 3 when the newest one is \
            suspicious or partial; with 1 also when drill.every is set and the last drill that passed \
            is older. A forecast over the objective (rto) is a warning; one that \
            rests on no measured restore is none.
            """)

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let open = try await application.open(try await application.configuration())
        let snapshots = try await open.catalog.snapshots()
        let configured = open.configuration.services
        var plan: RecoveryPlan?
        do {
            let wish = RecoveryWish(services: [], target: .here, moment: nil, only: false)
            plan = try await application.plan(wish, open).plan
        } catch let failure as Failure {
            application.output.warning(
                "no plan can be made: \(failure.description)", hint: failure.hint)
        }
        var overview = StatusOverview(
            at: application.now, repository: open.repository.id,
            services: configured.isEmpty ? PlanRequest.services(of: snapshots) : configured,
            snapshots: snapshots,
            accepted: try await open.catalog.snapshots(marked: .accepted), plan: plan,
            reports: try await open.catalog.reports())
        overview.lastBackup = try await open.catalog.runs(.backup, limit: 1).first
        overview.lastRead = try await open.catalog.measurements(
            of: PlanRequest.readingSubject, limit: 1
        ).first?.at
        let copies = try await application.shownCopies(open)
        if !copies.isEmpty { overview.copies = copies.map(\.shown) }
        overview.places = try await application.places(of: overview.services, copies, open)
        let rules = open.configuration.drill
        overview.drill = try DrillStanding(
            try await EvidenceChain(open.catalog), plan: plan,
            configurationHash: application.configurationHash(open.configuration),
            program: Version.current, interval: rules.interval, isWanted: rules.isWanted,
            now: application.now)
        application.output.present(ShownStatus(overview: overview, json: try JSONValue(overview)))
        if overview.isTooSlow, let rto = overview.objectives.rto, let forecast = overview.forecast {
            application.output.warning(
                "a restore of everything would take about \(forecast.expected), the objective is "
                    + "\(rto)", hint: "dr plan shows the critical path")
        }
        return overview.result
    }
}

private struct ShownStatus: Presentable {
    var overview: StatusOverview
    var json: JSONValue

    func write(to page: inout Page) {
        var table = Table(
            .left("SERVICE"), .left("STATE"), .right("AGE"), .left("OF RPO"), .right("FORECAST"),
            .left("OF RTO"), .left("SIZE"), .left("TIME"), .flexible("LAST BROUGHT BACK"))
        for service in overview.services {
            let nights = service.trend.nights
            table.add(
                StyledText(service.name.text), word(service.state),
                StyledText(service.age.map { "\($0)" } ?? "-"),
                share(service.age, of: service.objectives.rpo), forecast(of: service),
                share(
                    service.forecast, of: service.objectives.rto, isCertain: service.isMeasured),
                trend(
                    nights.map { Double($0.bytes.bytes) }, last: nights.last.map { "\($0.bytes)" }),
                trend(nights.map(\.duration.seconds), last: nights.last.map { "\($0.duration)" }),
                StyledText(proof(of: service)))
        }
        if overview.services.isEmpty { page.line("no services") } else { page.table(table) }
        let troubled = overview.services.flatMap(\.workloads).filter {
            $0.state == .missing || $0.problem != nil
        }
        if !troubled.isEmpty { page.line() }
        for workload in troubled {
            let words = workload.problem ?? "never saved"
            page.line(StyledText("\(workload.workload): \(words)"))
        }
        if let copies = overview.copies {
            page.line()
            page.table(self.table(of: copies))
        }
        if let places = overview.places {
            page.line()
            page.table(self.table(of: places))
        }
        page.line()
        page.line(StyledText("last backup: \(lastBackup)"))
        page.line(
            StyledText(
                "last read back and compared: "
                    + (overview.lastRead?.shortDescription ?? "never, on this machine")))
        page.line(StyledText("everything at once: \(whole)"))
        if let drill = overview.drill {
            page.line(StyledText(drill.text, drill.counts ? .plain : .warning))
        }
    }

    private func table(of copies: [StatusOverview.Copy]) -> Table {
        var table = Table(
            .left("COPY"), .left("STATE"), .right("AGE"), .right("SNAPSHOTS"), .left("NEWEST"),
            .flexible("PLACE"))
        for copy in copies {
            table.add(
                StyledText(copy.name),
                copy.problem.map { StyledText($0, .warning) } ?? StyledText("good", .good),
                StyledText(copy.age.map { "\($0)" } ?? "-"),
                StyledText(copy.held.map { "\($0)" } ?? "-"),
                StyledText(copy.newest?.shortDescription ?? "-"), StyledText(copy.place))
        }
        return table
    }

    private func table(of places: [StatusOverview.Place]) -> Table {
        var table = Table(
            .left("SERVICE"), .left("PLACE"), .left("AS OF"), .right("AGE"),
            .left("IMMUTABLE UNTIL"))
        for place in places {
            let until: StyledText =
                switch place.lockedUntil {
                case nil: StyledText("no")
                case let until? where until <= overview.at: StyledText("it ended", .warning)
                case let until?: StyledText(until.shortDescription, .good)
                }
            table.add(
                StyledText(place.service.text), StyledText(place.copy ?? "repository"),
                place.asOf.map { StyledText($0.shortDescription) } ?? StyledText("not whole", .bad),
                StyledText(place.age.map { "\($0)" } ?? "-"), until)
        }
        return table
    }

    private func word(_ state: StatusOverview.State) -> StyledText {
        switch state {
        case .good: StyledText("good", .good)
        case .doubtful: StyledText("doubtful", .warning)
        case .overdue: StyledText("overdue", .bad)
        case .missing: StyledText("missing", .bad)
        }
    }

    /// How much of an objective is used up, and the objective.
    private func share(_ span: TimeSpan?, of objective: TimeSpan?, isCertain: Bool = true)
        -> StyledText
    {
        guard let objective else { return StyledText("-") }
        guard let span else { return StyledText("\(objective)") }
        let share = span.seconds / max(objective.seconds, 1e-9)
        let style: StyledText.Style =
            !isCertain ? .dim : share > 1 ? .bad : share > 0.75 ? .warning : .good
        return StyledText(gauge(share), style) + StyledText(" \(objective)")
    }

    /// The latest nights as a line of bars, with the last value.
    private func trend(_ values: [Double], last: String?) -> StyledText {
        guard let last else { return StyledText("-") }
        guard values.count > 1 else { return StyledText(last) }
        return StyledText("\(sparkline(values)) \(last)")
    }

    private func forecast(of service: StatusOverview.Service) -> StyledText {
        guard let forecast = service.forecast else { return StyledText("-") }
        guard service.isMeasured else { return StyledText("~\(forecast)", .dim) }
        return StyledText("\(forecast)", service.isTooSlow ? .warning : .plain)
    }

    private func proof(of service: StatusOverview.Service) -> String {
        guard let proof = service.proof else { return "never" }
        let time = proof.recoveryTime.map { " in \($0)" } ?? ""
        return "\(proof.at.shortDescription)\(time)"
    }

    private var lastBackup: String {
        guard let run = overview.lastBackup else { return "none on this machine" }
        let result = run.result.map(\.meaning) ?? "did not end"
        return "\(run.started.shortDescription), \(result)"
    }

    private var whole: String {
        guard let forecast = overview.forecast else { return "nothing to bring back" }
        guard forecast.isMeasured else {
            return "never measured, assumed about \(forecast.expected)"
        }
        return "\(forecast.expected) (\(forecast.shortest) to \(forecast.longest))"
    }
}
