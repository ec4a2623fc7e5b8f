import Model
import Synchronization

/// Chunks that this session has seen, so that two workers do not store the same one.
///
/// Two generations bound the memory: what is forgotten is in the index by then, because far fewer
/// chunks are on their way to it than a generation holds.
final class ClaimedChunks: Sendable {
    private struct Generations {
        var current = Set<ChunkID>(minimumCapacity: 4096)
        var previous: Set<ChunkID> = []
    }
    private static let generation = 200_000
    private let state = Mutex(Generations())

    /// Claims chunks.
    ///
    /// - Returns: For each id whether this call is the first to claim it. The second of two equal
    ///   ids in `ids` is not.
    func claim(_ ids: [ChunkID]) -> [Bool] {
        state.withLock { state in
            if state.current.count + ids.count > Self.generation {
                state.previous = state.current
                state.current = Set(minimumCapacity: 4096)
            }
            return ids.map { id in
                !state.previous.contains(id) && state.current.insert(id).inserted
            }
        }
    }
}
