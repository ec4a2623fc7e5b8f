public import Model

/// A message about a run or a machine, before it is put into the form of a receiver.
public struct Notice: Sendable, Hashable {
    /// A start or an end, for receivers that watch over both.
    public enum Moment: String, Sendable, Hashable {
        case start, success, failure
        /// Neither: something noticed between runs.
        case between
    }

    public var moment: Moment
    /// What it is about; a receiver that wants none of these is not told.
    public var events: Set<NotificationEvent>
    /// The machine.
    public var host: String
    /// One line.
    public var title: String
    /// What happened, one thing a line, the worst first.
    public var lines: [String]

    public init(
        _ moment: Moment, events: Set<NotificationEvent>, host: String, title: String,
        lines: [String] = []
    ) {
        self.moment = moment
        self.events = events
        self.host = host
        self.title = title
        self.lines = lines
    }

    /// Whether somebody should look.
    public var isBad: Bool {
        !events.isDisjoint(with: [.failure, .suspicious, .overdue]) || moment == .failure
    }

    /// Everything as text, cut so that it is no longer than `limit` bytes.
    func text(limit: Int, withTitle: Bool = true) -> String {
        var text = withTitle ? title : ""
        for (index, line) in lines.enumerated() {
            let more = "\(text.isEmpty ? "" : "\n")\(line)"
            guard text.utf8.count + more.utf8.count + 40 <= limit else {
                let rest = lines.count - index
                return text + "\n… and \(rest) more, see dr report and dr doctor"
            }
            text += more
        }
        return text
    }

    /// Whether a receiver is told.
    func concerns(_ receiver: NotificationReceiver) -> Bool {
        if receiver.kind == .healthchecks { return moment != .between }
        return moment != .start && !events.isDisjoint(with: receiver.events)
    }
}
