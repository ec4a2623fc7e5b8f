public import Model
import Synchronization

/// Places of chunks in memory, for tests and the simulator; grows with the repository.
public final class MemoryChunkIndex: ChunkIndex {
    private struct State {
        var places: [ChunkID: ChunkLocation] = [:]
        var packs: [PackID: UInt64] = [:]
    }
    private let state = Mutex(State())

    public init() {}

    public func contains(_ ids: [ChunkID]) throws -> [Bool] {
        state.withLock { state in ids.map { state.places[$0] != nil } }
    }

    public func locate(_ ids: [ChunkID]) throws -> [ChunkLocation?] {
        state.withLock { state in ids.map { state.places[$0] } }
    }

    public func record(_ pack: PackContents) throws {
        state.withLock { state in
            state.packs[pack.pack] = pack.size
            for entry in pack.chunks {
                state.places[entry.id] = ChunkLocation(
                    pack: pack.pack, frame: pack.frames[Int(entry.frame)], offset: entry.offset)
            }
        }
    }

    public func packs() throws -> [PackID: UInt64] { state.withLock { $0.packs } }

    public func remove(_ packs: Set<PackID>) throws {
        state.withLock { state in
            for pack in packs { state.packs[pack] = nil }
            state.places = state.places.filter { !packs.contains($0.value.pack) }
        }
    }

    public func usage(_ isLive: (UInt64) -> Bool) throws -> [PackID: PackUsage] {
        state.withLock { state in
            var usage = state.packs.mapValues { PackUsage(size: $0) }
            for (id, place) in state.places {
                let frame = place.frame
                if isLive(id.words.0) {
                    usage[place.pack]?.frames[frame.number, default: .init(location: frame)].live +=
                        1
                } else {
                    usage[place.pack]?.frames[frame.number, default: .init(location: frame)].dead +=
                        1
                }
            }
            return usage
        }
    }
}
