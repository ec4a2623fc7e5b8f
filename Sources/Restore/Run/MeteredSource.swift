import Model
import Synchronization
import Workloads

/// Passes a source through and tells when the first data of a step is asked for.
struct MeteredSource: ReplaySource {
    let base: any ReplaySource
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
        return try await base.tree(part, to: path, options: options)
    }
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
