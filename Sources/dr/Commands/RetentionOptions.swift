import ArgumentParser
import Model

/// Which snapshots are kept, as `dr forget` and `dr prune` are told; a configuration's `retention:`
/// in words of the command line.
struct RetentionOptions: ParsableArguments {
    @Option(name: .customLong("keep-last"), help: "Keep so many of the newest.")
    var last: Int?

    @Option(name: .customLong("keep-daily"), help: "Keep the newest of each of so many days.")
    var daily: Int?

    @Option(name: .customLong("keep-weekly"), help: "Keep the newest of each of so many weeks.")
    var weekly: Int?

    @Option(name: .customLong("keep-monthly"), help: "Keep the newest of each of so many months.")
    var monthly: Int?

    @Option(name: .customLong("keep-yearly"), help: "Keep the newest of each of so many years.")
    var yearly: Int?

    @Option(
        name: .customLong("keep-within"),
        help: ArgumentHelp("Keep all that are younger, for example 30d.", valueName: "time"))
    var within: String?

    @Flag(
        name: .customLong("trust-times"),
        help: ArgumentHelp(
            "Go on although times look wrong: after a clock that jumped, a long pause, or a flood "
                + "of snapshots that you have looked at."))
    var trustsTimes = false

    func validate() throws {
        for (name, value) in [
            ("last", last), ("daily", daily), ("weekly", weekly), ("monthly", monthly),
            ("yearly", yearly),
        ] {
            if let value, !(0...100_000).contains(value) {
                throw ValidationError("--keep-\(name) must be 0 to 100000")
            }
        }
        if let within, TimeSpan(parsing: within).map({ $0 <= .zero }) ?? true {
            throw ValidationError("--keep-within must be a length of time such as 48h or 30d")
        }
        if policy.map({ !$0.isEmpty }) == false {
            throw ValidationError("these rules keep nothing, give at least one that does")
        }
    }

    /// The rules that were given; nil when none was.
    var policy: RetentionPolicy? {
        let counts = [last, daily, weekly, monthly, yearly]
        guard within != nil || counts.contains(where: { $0 != nil }) else { return nil }
        return RetentionPolicy(
            last: last ?? 0, daily: daily ?? 0, weekly: weekly ?? 0, monthly: monthly ?? 0,
            yearly: yearly ?? 0, within: within.flatMap { TimeSpan(parsing: $0) })
    }
}

extension RetentionPolicy {
    /// Whether no rule keeps anything.
    fileprivate var isEmpty: Bool { self == RetentionPolicy() }
}
