import Model

/// One thing that happens at its time, whatever brings that about.
struct ScheduledJob: Sendable {
    /// The end of unit names: `dr-backup`.
    var name: String
    var title: String
    /// Arguments of `dr`, one call after the other.
    var calls: [[String]]
    var time: DayTime
    /// Days of the week that it happens on, Monday first; nil for every day.
    var weekday: Weekday?
    /// Further hours of the day.
    var hours: [Int] = []

    enum Weekday: Int, Sendable {
        case sunday = 0
        var systemd: String { "Sun" }
    }

    /// As systemd writes calendars.
    var calendar: String {
        let hours = ([time.hour] + hours).sorted().map { DayTime.two($0) }.joined(separator: ",")
        let day = weekday.map { "\($0.systemd) " } ?? ""
        return "\(day)*-*-* \(hours):\(DayTime.two(time.minute)):00"
    }

    /// The first five fields of a line of cron.
    var cronFields: String {
        let hours = ([time.hour] + hours).sorted().map(String.init).joined(separator: ",")
        return "\(time.minute) \(hours) * * \(weekday.map { "\($0.rawValue)" } ?? "*")"
    }

    /// What `dr schedule install` sets up: the backup, and what keeps it trustworthy.
    static func all(at time: DayTime) -> [ScheduledJob] {
        [
            ScheduledJob(
                name: "dr-backup", title: "Back up services with dr",
                calls: [["backup", "--quiet"]], time: time),
            ScheduledJob(
                name: "dr-upkeep", title: "Free space and read a part of dr's repository back",
                calls: [["check", "--subset", "5%", "--quiet"], ["prune", "--quiet"]],
                time: time.later(hours: 2), weekday: .sunday),
            ScheduledJob(
                name: "dr-watch", title: "Tell when backups of dr are overdue",
                calls: [["notify", "--quiet"]], time: time.later(hours: 6),
                hours: [time.later(hours: 12).hour, time.later(hours: 18).hour]),
        ]
    }
}

/// An hour and a minute of the day, by the machine's own clock.
struct DayTime: Sendable, Hashable, CustomStringConvertible {
    var hour: Int
    var minute: Int

    /// - Parameter text: For example `02:30`.
    init(_ text: String) throws {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let hour = parts[0], let minute = parts[1],
            (0...23).contains(hour), (0...59).contains(minute)
        else {
            throw Failure(
                .usage, "\"\(printable(text.utf8))\" is no time of the day",
                hint: "write for example 02:30")
        }
        self.hour = hour
        self.minute = minute
    }

    var description: String { "\(Self.two(hour)):\(Self.two(minute))" }

    func later(hours: Int) -> DayTime {
        var time = self
        time.hour = (hour + hours) % 24
        return time
    }

    static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

/// How a scheduled `dr` is called: nothing of it is a secret.
struct ScheduledCall: Sendable {
    /// The absolute path of the program.
    var program: String
    /// The absolute path of the configuration.
    var configuration: String
    /// Where the password or key comes from, and other variables that `dr` needs.
    var environment: [(name: String, value: String)]
}
