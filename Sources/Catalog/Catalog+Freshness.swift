public import Model

/// How old what would come back of a service is, against its objective.
public struct Freshness: Sendable, Hashable {
    public var service: ServiceName
    /// The moment that the oldest of its workloads' newest good snapshots stands for; nil when one
    /// of them has none.
    public var lastGood: Timestamp?
    /// The oldest state that is acceptable to come back to; nil where none is set.
    public var objective: TimeSpan?
    /// Workloads without any good snapshot.
    public var unsaved: [WorkloadID]
    /// The age of ``lastGood``; nil when there is none.
    public var age: TimeSpan?

    /// Whether the objective is missed now. Without an objective nothing is overdue.
    public var isOverdue: Bool {
        guard let objective else { return false }
        guard let age else { return true }
        return age > objective
    }

    /// One line for people.
    public var text: String {
        guard let lastGood, let age else {
            return "\(service): there is no good snapshot of "
                + unsaved.map(\.text).joined(separator: ", ")
        }
        let limit = objective.map { ", the objective is \($0)" } ?? ""
        return
            "\(service): the last good snapshot is of \(lastGood.shortDescription), \(age) old\(limit)"
    }
}

extension Catalog {
    /// How fresh the good snapshots of services are, in the order given.
    ///
    /// A snapshot from the future is no measure of an age, and is passed over.
    ///
    /// - Parameter now: By the time of day.
    public func freshness(of services: [Service], at now: Timestamp) async throws -> [Freshness] {
        var newest: [WorkloadID: Timestamp] = [:]
        for snapshot in try await snapshots(SnapshotFilter(onlyGood: true))
        where !snapshot.isFromFuture(at: now) {
            newest[snapshot.workload] = max(
                newest[snapshot.workload] ?? snapshot.asOf, snapshot.asOf)
        }
        return services.map { service in
            let workloads = service.workloads.map {
                WorkloadID(service: service.name, kind: $0.kind, name: $0.name)
            }
            let unsaved = workloads.filter { newest[$0] == nil }
            let lastGood = unsaved.isEmpty ? workloads.compactMap { newest[$0] }.min() : nil
            return Freshness(
                service: service.name, lastGood: lastGood, objective: service.objectives.rpo,
                unsaved: unsaved,
                age: lastGood.map {
                    TimeSpan(nanoseconds: max(0, now.nanoseconds &- $0.nanoseconds))
                })
        }
    }
}
