public import Model
import Synchronization

/// Places of chunks in memory, for tests and the simulator; grows with the repository.
public final class MemoryChunkIndex: ChunkIndex {
    private struct State {
        /// Newest last.
        var places: [ChunkID: [ChunkLocation]] = [:]
        var packs: [PackID: UInt64] = [:]
        var generation = UInt64.random(in: 1...UInt64(UInt32.max))
    }
    private let state = Mutex(State())

    public init() {}

    public func contains(_ ids: [ChunkID]) throws -> [Bool] {
        state.withLock { state in ids.map { state.places[$0] != nil } }
    }

    public func locate(_ ids: [ChunkID]) throws -> [ChunkLocation?] {
        state.withLock { state in ids.map { state.places[$0]?.last } }
    }

    public func record(_ pack: PackContents) throws {
        state.withLock { state in
            guard state.packs.updateValue(pack.size, forKey: pack.pack) == nil else { return }
            for entry in pack.chunks {
                state.places[entry.id, default: []].append(
                    ChunkLocation(
                        pack: pack.pack, frame: pack.frames[Int(entry.frame)], offset: entry.offset)
                )
            }
        }
    }

    public func packs() throws -> [PackID: UInt64] { state.withLock { $0.packs } }

    public func remove(_ packs: Set<PackID>) throws {
        guard !packs.isEmpty else { return }
        state.withLock { state in
            for pack in packs { state.packs[pack] = nil }
            state.places = state.places.compactMapValues { places in
                let left = places.filter { !packs.contains($0.pack) }
                return left.isEmpty ? nil : left
            }
            state.generation += 1
        }
    }

    public func usage(_ isLive: (UInt64) -> Bool) throws -> [PackID: PackUsage] {
        state.withLock { state in
            var usage = state.packs.mapValues { PackUsage(size: $0) }
            for (id, places) in state.places {
                let needed = isLive(id.words.0)
                for (number, place) in places.enumerated() {
                    let frame = place.frame
                    let isNeeded = needed && number == places.count - 1
                    usage[place.pack]?.frames[frame.number, default: .init(location: frame)]
                        .count(isNeeded)
                }
            }
            return usage
        }
    }

    public func generation() throws -> UInt64 { state.withLock { $0.generation } }
}
