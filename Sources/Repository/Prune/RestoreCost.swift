public import Model

/// What restoring the newest snapshot of a workload reads.
public struct RestoreCost: Sendable, Codable, Hashable {
    public var workload: WorkloadID
    /// Stored bytes that it needs: of each frame the share of the chunks it uses.
    public var needed: ByteCount
    /// Stored bytes that it reads: all frames that hold something of it.
    public var read: ByteCount
    /// Packs that it touches.
    public var packs: Int

    /// How many times what it needs is read; 1 at best.
    public var excess: Double {
        needed.bytes == 0 ? 1 : Double(read.bytes) / Double(needed.bytes)
    }
}

/// Adds up what one restore reads of each pack.
struct RestoreMeter {
    /// One pack's share.
    struct Share {
        /// A bit for each frame that is read.
        fileprivate var frames: [UInt64] = []
        var read: UInt64 = 0
        var needed = 0.0

        /// Bytes that are read for nothing.
        var wasted: Double { Double(read) - needed }
    }

    private(set) var shares: [PackID: Share] = [:]
    private var seen = NameSet()

    mutating func add(_ references: [ChunkReference], at places: [ChunkLocation?]) {
        for (reference, place) in zip(references, places) {
            guard let place, seen.insert(reference.id.words.0) else { continue }
            shares[place.pack, default: Share()].add(place.frame, reference.length)
        }
    }

    func cost(of workload: WorkloadID) -> RestoreCost {
        RestoreCost(
            workload: workload,
            needed: ByteCount(UInt64(shares.values.reduce(0) { $0 + $1.needed })),
            read: ByteCount(shares.values.reduce(0) { $0 + $1.read }), packs: shares.count)
    }
}

extension RestoreMeter.Share {
    fileprivate mutating func add(_ frame: FrameLocation, _ length: UInt64) {
        let word = Int(frame.number / 64)
        let bit = UInt64(1) << UInt64(frame.number % 64)
        if word >= frames.count {
            frames += Array(repeating: 0, count: word + 1 - frames.count)
        }
        if frames[word] & bit == 0 {
            frames[word] |= bit
            read += UInt64(frame.storedLength)
        }
        guard frame.plainLength > 0 else { return }
        needed += Double(frame.storedLength) * Double(length) / Double(frame.plainLength)
    }
}
