public import Catalog
import Engine
public import Model

/// What a step that was proven done came to; stands in the journal beside the proof.
struct ProvenStep: Sendable, Codable {
    var report: StepReport
    /// When it asked for its first data.
    var firstRead: TimeSpan?
    /// How many of its problems are damage of the repository.
    var damaged: Int
}

/// A run that ended before all was done, as this machine remembers it: killed, interrupted, or with
/// steps that failed.
public struct InterruptedRun: Sendable {
    public let record: RunRecord
    public let plan: RecoveryPlan
    public let orders: RecoveryOrders
    let journal: [JournalEntry]
    let proven: [String: ProvenStep]
    /// Steps that were proven done, and have to be done again because the machine was started again.
    let repeated: Set<String>
    /// How often each step was begun.
    let attempts: [String: Int]
    /// The last moment that is known of it.
    let latest: TimeSpan

    /// Ids of the steps that need not be done again.
    public var done: Set<String> { Set(proven.keys) }
    /// What it has brought back already.
    public var bytes: ByteCount {
        proven.values.reduce(into: ByteCount(0)) { $0 += $1.report.bytes }
    }

    /// - Throws: `Failure` with code `failed` when it cannot be taken up again.
    public init(_ record: RunRecord, from catalog: Catalog) async throws {
        guard let plan = try await catalog.document(Catalog.planName, of: record.id),
            let orders = try await catalog.document(RecoveryOrders.documentName, of: record.id)
        else {
            throw Failure(
                .failed, "run \(record.id.short) cannot be taken up again: its plan was not kept",
                hint: "begin anew with dr restore --to", side: .local)
        }
        self.record = record
        self.plan = try StableJSON.decode(RecoveryPlan.self, from: plan)
        self.orders = try StableJSON.decode(RecoveryOrders.self, from: orders)
        journal = try await catalog.journal(of: record.id)
        var proven: [String: ProvenStep] = [:]
        for entry in journal where entry.kind == .proven {
            guard let detail = entry.detail else { continue }
            proven[entry.step] = try StableJSON.decode(ProvenStep.self, from: Array(detail.utf8))
        }
        let steps = try await catalog.steps(of: record.id)
        attempts = Dictionary(steps.map { ($0.id, $0.attempts) }) { first, _ in first }
        let moments =
            proven.values.compactMap(\.report.ended) + steps.compactMap(\.ended)
            + steps.compactMap(\.started) + self.orders.resumed
        latest = moments.max() ?? .zero
        let boot = BootIdentity.current
        let isSameBoot = boot != nil && self.orders.sessions.last?.boot == boot
        // What ran does not run any more when the machine was started again.
        self.proven = isSameBoot ? proven : proven.filter { $0.value.report.phase.isLasting }
        repeated = Set(proven.keys).subtracting(self.proven.keys)
    }

    /// The run that `dr restore --resume` means: the one whose id begins with `digits`, else the
    /// latest.
    ///
    /// - Throws: `Failure` with code `usage` when there is none, or nothing is left to do.
    public static func find(_ digits: String?, in catalog: Catalog) async throws -> InterruptedRun {
        let runs = try await catalog.runs(.restore, idPrefix: digits ?? "", limit: 2)
        if let digits, runs.count != 1 {
            throw Failure(
                .usage,
                runs.isEmpty
                    ? "no restore begins with \(printable(digits.utf8))"
                    : "more than one restore begins with \(printable(digits.utf8))",
                hint: "dr report --list shows them")
        }
        guard let record = runs.first else {
            throw Failure(
                .usage, "there is no restore to take up again: this machine remembers none",
                hint: "begin one with dr restore --to here")
        }
        let run = try await InterruptedRun(record, from: catalog)
        guard run.done.count < run.plan.steps.count || record.finished == nil else {
            throw Failure(
                .usage, "nothing is left to do: run \(record.id.short) did all of its steps",
                hint: "dr report \(record.id.short) tells what it came to")
        }
        return run
    }

    /// Whether the names of a finding are this run's own, and so in nobody's way.
    func isOwn(_ name: String?) -> Bool {
        guard let name else { return false }
        return NameOwnership(journal).isOwn(name)
    }
}

extension PlannedStep.Phase {
    /// Whether what it made outlasts a restart of the machine.
    var isLasting: Bool {
        switch self {
        case .prepare, .data, .manual: true
        case .start, .check, .healthy: false
        }
    }
}
