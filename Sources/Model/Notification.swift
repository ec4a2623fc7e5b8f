/// What may be worth a message.
public enum NotificationEvent: String, Sendable, Hashable, Codable, CaseIterable {
    /// Something was not saved, or a run did not come to its end.
    case failure
    /// A snapshot is not what was expected.
    case suspicious
    /// The newest good snapshot of a service is older than its objective allows.
    case overdue
    /// What failed, was suspicious or overdue before is good again.
    case recovered
    /// A run in which everything is good.
    case success

    /// What a receiver is told that asks for nothing else.
    public static let usual: Set<NotificationEvent> = [.failure, .suspicious, .overdue, .recovered]
}

/// Somebody who is told how runs went.
public struct NotificationReceiver: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case ntfy, discord, slack, gotify, webhook, mail, healthchecks
    }

    public var kind: Kind
    /// The web address, or for mail that of the person. It may hold a secret: never shown whole.
    public var address: String
    /// A token: of a header, or the last part of the address, as the kind has it.
    public var token: SecretSource?
    /// What it is told; healthchecks is told of every start and end.
    public var events: Set<NotificationEvent>

    public init(
        _ kind: Kind, _ address: String, token: SecretSource? = nil,
        events: Set<NotificationEvent> = NotificationEvent.usual
    ) {
        self.kind = kind
        self.address = address
        self.token = token
        self.events = events
    }

    /// For people: the kind, and the machine or person without anything that may be secret.
    public var shown: String {
        guard kind != .mail else { return "mail to \(printable(address.utf8))" }
        let rest = address.split(separator: "://", maxSplits: 1).last ?? ""
        let authority = rest.prefix { !"/?#".contains($0) }
        let host = authority.split(separator: "@").last ?? ""
        return "\(kind.rawValue) at \(printable(host.utf8))"
    }
}

/// An uninterruptible power supply to ask before and during a run.
public struct PowerRules: Sendable, Hashable {
    /// As NUT's `upsc` takes it, for example `eaton@localhost`.
    public var supply: String
    /// How often it is asked while a run goes on.
    public var interval: TimeSpan

    public init(supply: String, interval: TimeSpan = TimeSpan(seconds: 30)) {
        self.supply = supply
        self.interval = interval
    }
}
