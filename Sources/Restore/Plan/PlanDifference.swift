public import Model

/// What is different between two plans, for people and programs.
public struct PlanDifference: Sendable, Hashable, Codable {
    public struct Change: Sendable, Hashable, Codable {
        public enum Kind: String, Sendable, Hashable, Codable { case added, removed, changed }
        public var kind: Kind
        /// A service, workload or step, or a fact of the whole plan.
        public var subject: String
        public var old: String?
        public var new: String?
    }

    public var changes: [Change]

    public var isEmpty: Bool { changes.isEmpty }

    public init(from old: RecoveryPlan, to new: RecoveryPlan) {
        changes = []
        compare("target", old.target.description, new.target.description)
        compare("moment", old.at ?? "latest", new.at ?? "latest")
        compare("objective", old.objectives.rto, new.objectives.rto)
        compare(
            "services", old.services.map { ($0.name.text, Self.words($0)) },
            new.services.map { ($0.name.text, Self.words($0)) })
        compare(
            "snapshot of", Self.snapshots(old), Self.snapshots(new))
        compare("step", Self.steps(old), Self.steps(new))
        compare(
            "not covered", old.uncovered.map { ($0.workload?.text ?? $0.service.text, $0.reason) },
            new.uncovered.map { ($0.workload?.text ?? $0.service.text, $0.reason) })
        compare("forecast", old.forecast.map(Self.words), new.forecast.map(Self.words))
    }

    private static func words(_ service: PlannedService) -> String {
        let names = service.after.map(\.text).joined(separator: ", ")
        let after = names.isEmpty ? "" : " after \(names)"
        return "wave \(service.wave)\(after)"
            + (service.objectives.rto.map { ", objective \($0)" } ?? "")
            + service.checks.map { ", \($0)" }.joined()
    }

    private static func snapshots(_ plan: RecoveryPlan) -> [(String, String)] {
        plan.services.flatMap(\.snapshots).map {
            (
                $0.workload.text,
                "\($0.snapshot.short) of \($0.asOf.shortDescription), \($0.bytes)"
            )
        }
    }

    /// What a step does and waits for; not how long it will take, which changes with every run.
    private static func steps(_ plan: RecoveryPlan) -> [(String, String)] {
        plan.steps.map { step in
            let needs =
                step.needs.isEmpty ? "" : " after \(step.needs.sorted().joined(separator: ", "))"
            return (step.id, step.title + needs)
        }
    }

    private static func words(_ forecast: RecoveryForecast) -> String {
        "\(forecast.expected) (\(forecast.shortest) to \(forecast.longest))"
    }

    private mutating func compare<Value: Equatable>(
        _ subject: String, _ old: Value?, _ new: Value?
    ) {
        guard old != new else { return }
        let kind: Change.Kind = old == nil ? .added : new == nil ? .removed : .changed
        changes.append(
            Change(
                kind: kind, subject: subject, old: old.map { "\($0)" }, new: new.map { "\($0)" }))
    }

    private mutating func compare(
        _ subject: String, _ old: [(String, String)], _ new: [(String, String)]
    ) {
        let was = Dictionary(old) { first, _ in first }
        let now = Dictionary(new) { first, _ in first }
        for (name, words) in new where was[name] != words {
            changes.append(
                Change(
                    kind: was[name] == nil ? .added : .changed, subject: "\(subject) \(name)",
                    old: was[name], new: words))
        }
        for (name, words) in old where now[name] == nil {
            changes.append(
                Change(kind: .removed, subject: "\(subject) \(name)", old: words, new: nil))
        }
    }

    /// Each line with its end.
    public var text: String {
        guard !isEmpty else { return "the plans are equal\n" }
        return changes.map { change in
            let mark =
                switch change.kind {
                case .added: "+"
                case .removed: "-"
                case .changed: "~"
                }
            let words = [change.old, change.new].compactMap { $0 }.map(shown)
            return "\(mark) \(shown(change.subject)): \(words.joined(separator: " -> "))\n"
        }.joined()
    }
}
