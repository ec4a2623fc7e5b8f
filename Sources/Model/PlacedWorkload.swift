/// What one place, a repository or a copy of it, holds of a workload.
public struct PlacedWorkload: Sendable, Hashable, Codable {
    public var workload: WorkloadID
    /// The moment that the newest good snapshot stands for.
    public var asOf: Timestamp
    /// Until when nobody can delete anything that its newest snapshots need, as the store said then;
    /// nil where the place locks nothing.
    public var lockedUntil: Timestamp?

    public init(workload: WorkloadID, asOf: Timestamp, lockedUntil: Timestamp?) {
        self.workload = workload
        self.asOf = asOf
        self.lockedUntil = lockedUntil
    }
}
