import Model
import Synchronization
import Workloads

/// Passes a source through, tells when the first data of a step is asked for, and counts files that
/// were lost to damage.
struct MeteredSource: ReplaySource {
    let base: any ReplaySource
    let damage: DamageCount
    let onRead: @Sendable () -> Void

    var snapshot: SnapshotRecord { base.snapshot }

    func document(_ part: String) async throws -> [UInt8] {
        onRead()
        return try await base.document(part)
    }

    func stream(_ part: String, to descriptor: Int32) async throws -> UInt64 {
        onRead()
        return try await base.stream(part, to: descriptor)
    }

    func tree(_ part: String, to path: String, options: TreeReplayOptions) async throws
        -> TreeReplaySummary
    {
        onRead()
        let summary = try await base.tree(part, to: path, options: options)
        damage.add(summary.damaged, isFull: summary.cause == .noSpace)
        return summary
    }

    func read(_ part: String, into receiver: any PieceReceiver) async throws -> UInt64 {
        onRead()
        return try await base.read(part, into: receiver)
    }

    func archive(_ part: String, called name: String, to descriptor: Int32) async throws
        -> TreeReplaySummary
    {
        onRead()
        let summary = try await base.archive(part, called: name, to: descriptor)
        damage.add(summary.damaged)
        return summary
    }
}

/// How many files of a step the repository could not give back.
final class DamageCount: Sendable {
    private let state = Mutex((files: 0, isFull: false))

    /// - Parameter isFull: Others could not be written, because a disk was full.
    func add(_ count: Int, isFull: Bool = false) {
        state.withLock {
            $0.files += count
            $0.isFull = $0.isFull || isFull
        }
    }
    var total: Int { state.withLock { $0.files } }
    var isFull: Bool { state.withLock { $0.isFull } }
}

/// When the first data of each service was asked of the repository.
final class FirstReads: Sendable {
    private let times = Mutex<[ServiceName: TimeSpan]>([:])

    func note(_ services: [ServiceName], at time: TimeSpan) {
        times.withLock { times in
            for service in services where times[service] == nil { times[service] = time }
        }
    }

    var all: [ServiceName: TimeSpan] { times.withLock { $0 } }
}
