public import Model

/// How restores and drills went over time.
public struct ReportHistory: Sendable {
    /// Newest first.
    public let reports: [RecoveryReport]

    /// - Parameter reports: In any order.
    public init(_ reports: [RecoveryReport]) {
        self.reports = reports.sorted { $0.declared > $1.declared }
    }

    /// Each line with its end.
    public var text: String {
        guard !reports.isEmpty else { return "no restores and no drills\n" }
        var table = TextTable(indent: "", rightAligned: [3, 4, 5, 6, 7])
        table.add(
            "RUN", "DECLARED", "FOR", "SERVICES", "DATA", "RECOVERY TIME", "FORECAST", "DATA LOSS",
            "RESULT")
        for report in reports {
            let healthy = report.services.count(where: \.isHealthy)
            table.add(
                report.run.short, report.declared.shortDescription,
                "\(report.purpose.rawValue) \(shown(report.target.description))",
                report.paths.map { counted($0.count, "path") }
                    ?? "\(healthy)/\(report.services.count)", "\(report.bytes)",
                report.recoveryTime.map { "\($0)\(Self.mark(report.meetsRecoveryTime))" } ?? "-",
                report.forecast.map { $0.isMeasured ? "\($0.expected)" : "-" } ?? "-",
                report.recoveryPoint.map { "\($0)\(Self.mark(report.meetsRecoveryPoint))" } ?? "-",
                report.result.meaning)
        }
        return table.text + trend
    }

    private static func mark(_ met: Bool?) -> String { met == false ? " MISSED" : "" }

    /// Recovery times of runs that brought back the same services, oldest first, as a line of bars.
    private var trend: String {
        guard let newest = reports.first(where: { $0.recoveryTime != nil }) else { return "" }
        let names = Set(newest.services.map(\.name))
        let alike = reports.filter {
            $0.target == newest.target && Set($0.services.map(\.name)) == names
        }.reversed().compactMap { $0.recoveryTime }
        guard alike.count > 1, let longest = alike.max(), let shortest = alike.min() else {
            return ""
        }
        let line = sparkline(alike.suffix(60).map(\.seconds))
        return "\nrecovery time of the same \(counted(names.count, "service")) over"
            + " \(counted(alike.count, "run")): \(line)  \(shortest) to \(longest)\n"
    }
}
