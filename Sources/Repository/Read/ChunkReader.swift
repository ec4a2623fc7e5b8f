import Engine
import FoundationEssentials
public import Model

/// Reads chunks by name, in any order, through a bounded cache of open frames.
///
/// Every chunk is verified by its name before it is given out. Owned by one thread at a time; calls
/// block.
public final class ChunkReader {
    private struct FrameKey: Hashable {
        var pack: PackID
        var number: UInt32
    }

    private let packs: PackReader
    private let index: any ChunkIndex
    private let namer: ChunkNamer
    private let currentEpoch: UInt32
    private let decompressor = FrameDecompressor()
    private let capacity: Int
    private let relearn: IndexRelearning
    private var frames: [FrameKey: FrameBytes] = [:]
    private var order: [FrameKey] = []
    private var cached = 0
    private var openers: [PackID: FrameOpener] = [:]
    /// Nodes that were fetched ahead, verified.
    private var nodes: [ChunkID: [UInt8]] = [:]

    /// - Parameter capacity: Bytes of open frames that are kept.
    init(
        packs: PackReader, index: any ChunkIndex, namer: ChunkNamer, currentEpoch: UInt32,
        capacity: Int, relearn: IndexRelearning
    ) {
        self.relearn = relearn
        self.packs = packs
        self.index = index
        self.namer = namer
        self.currentEpoch = currentEpoch
        self.capacity = capacity
    }

    /// Calls `body` with the plaintext of each reference, in order; zero runs come in pieces.
    ///
    /// The places of all of them are looked up at once, and frames that stand next to one another in
    /// a pack are fetched together; several such runs at once where the store is far.
    public func read(
        _ references: [ChunkReference], role: Role = .data,
        _ body: (UnsafeRawBufferPointer, ChunkReference) throws -> Void
    ) throws {
        let stored = references.filter { !$0.isZeros }
        var places = try locate(stored.map(\.id))
        var next = 0
        var ahead = runsAhead(places[...], role.nearness)
        defer { ahead?.cancel() }
        for reference in references {
            if reference.isZeros {
                try body(UnsafeRawBufferPointer(start: nil, count: 0), reference)
                continue
            }
            let frame: FrameBytes
            do {
                frame = try self.frame(
                    at: places[next], ahead: places[next...], &ahead, role.nearness)
            } catch let missing as ObjectMissing {
                // Pruned since the index was brought up to date: what is needed is elsewhere.
                guard try relearn.again() else { throw missing }
                places = try Array(places[..<next]) + locate(stored[next...].map(\.id))
                ahead?.cancel()
                ahead = runsAhead(places[next...], role.nearness)
                frame = try self.frame(
                    at: places[next], ahead: places[next...], &ahead, role.nearness)
            }
            let place = places[next]
            next += 1
            let start = Int(place.offset)
            guard reference.length <= UInt64(frame.count),
                start + Int(reference.length) <= frame.count
            else { throw damaged(place, reference) }
            let bytes = UnsafeRawBufferPointer(
                rebasing: frame.bytes[start..<(start + Int(reference.length))])
            guard namer.name(bytes, role: role.chunkRole) == reference.id else {
                throw damaged(place, reference)
            }
            try body(bytes, reference)
        }
    }

    /// What kind of chunk is read.
    public enum Role: Sendable {
        case data, node
        /// Data that describes other data, as a tree's entries and small documents do.
        case listing
        var chunkRole: ChunkRole { self == .node ? .node : .data }
        /// What describes a snapshot is read whenever somebody looks at it.
        var nearness: Nearness { self == .data ? .store : .kept }
    }

    /// Whether the chunk at `place` with the given plaintext is what `reference` names.
    func verify(_ bytes: UnsafeRawBufferPointer, _ id: ChunkID) -> Bool {
        namer.name(bytes, role: .data) == id
    }

    private func damaged(_ place: ChunkLocation, _ reference: ChunkReference) -> FormatError {
        FormatError("pack \(place.pack)", "chunk \(reference.id.short) is not what its name says")
    }

    /// Places of chunks that must be there.
    func locate(_ ids: [ChunkID]) throws -> [ChunkLocation] {
        var found = try index.locate(ids)
        if found.contains(where: { $0 == nil }), try relearn.again() {
            found = try index.locate(ids)
        }
        return try zip(ids, found).map { id, place in
            guard let place else {
                throw Failure(
                    .damaged, "chunk \(id.short) is in no pack",
                    hint: "run 'dr check' to see what is affected", side: .repository)
            }
            return place
        }
    }

    /// Fetches nodes that will be wanted soon, side by side, where each would be a journey of its own.
    ///
    /// What cannot be had is left for whoever needs it to find out.
    func fetchAhead(_ wanted: some Collection<ChunkReference>) {
        let missing = wanted.filter { !$0.isZeros && nodes[$0.id] == nil }
        guard packs.store.isRemote, missing.count > 1,
            let found = try? index.locate(missing.map(\.id))
        else { return }
        if nodes.count > 256 { nodes.removeAll() }
        let places = zip(missing, found).compactMap { node, place in place.map { (node, $0) } }
            .sorted { ($0.1.pack, $0.1.frame.number) < ($1.1.pack, $1.1.frame.number) }
        var ahead = runsAhead(places.map(\.1)[...], .kept)
        defer { ahead?.cancel() }
        for (node, place) in places {
            let frame: FrameBytes
            do {
                frame = try self.frame(at: place, ahead: [], &ahead, .kept)
            } catch let failure as Failure where failure.isTransient {
                // The store is away: whoever needs a node waits for it, once.
                return
            } catch {
                continue
            }
            let (start, length) = (Int(place.offset), Int(node.length))
            guard node.length <= UInt64(frame.count), start + length <= frame.count else {
                continue
            }
            let bytes = UnsafeRawBufferPointer(rebasing: frame.bytes[start..<(start + length)])
            if namer.name(bytes, role: .node) == node.id { nodes[node.id] = Array(bytes) }
        }
    }

    /// A node that was fetched ahead; it is not kept any longer.
    func takeFetched(_ node: ChunkReference) -> [UInt8]? { nodes.removeValue(forKey: node.id) }

    private func runsAhead(_ places: ArraySlice<ChunkLocation>, _ nearness: Nearness) -> RunsAhead?
    {
        RunsAhead(places, from: packs, nearness) { place in
            frames[FrameKey(pack: place.pack, number: place.frame.number)] != nil
        }
    }

    private func frame(
        at place: ChunkLocation, ahead: ArraySlice<ChunkLocation>, _ runs: inout RunsAhead?,
        _ nearness: Nearness
    ) throws -> FrameBytes {
        let key = FrameKey(pack: place.pack, number: place.frame.number)
        if let frame = frames[key] { return frame }
        if let (run, sealed) = try runs?.take(place) {
            return try open(run.frames, of: place.pack, sealed, wanted: place.frame.number)
        }
        // Up to 8 MiB of frames that directly follow and are wanted next are fetched along.
        var run = [place.frame]
        for other in ahead {
            guard let last = run.last, other.pack == place.pack else { break }
            if other.frame.number == last.number { continue }
            guard other.frame.number == last.number + 1,
                other.frame.offset + UInt64(other.frame.storedLength) - place.frame.offset
                    <= 8 << 20
            else { break }
            run.append(other.frame)
        }
        let wanted = run
        let sealed = try waitBlocking { [packs] in
            try await packs.sealedFrames(
                place.pack, from: place.frame, through: wanted[wanted.count - 1], nearness)
        }
        return try open(wanted, of: place.pack, sealed, wanted: place.frame.number)
    }

    /// Opens consecutive frames and keeps them.
    ///
    /// - Returns: The wanted one.
    private func open(
        _ run: [FrameLocation], of pack: PackID, _ sealed: Data, wanted: UInt32
    ) throws -> FrameBytes {
        let opener = try opener(pack)
        var result: FrameBytes?
        for location in run {
            let start = Int(location.offset - run[0].offset)
            let opened = try sealed.withUnsafeBytes {
                try packs.open(
                    location,
                    UnsafeRawBufferPointer(
                        rebasing: $0[start..<(start + Int(location.storedLength))]),
                    opener, with: decompressor)
            }
            keep(opened, FrameKey(pack: pack, number: location.number))
            if location.number == wanted { result = opened }
        }
        guard let result else { throw FormatError("pack \(pack)", "a frame is missing") }
        return result
    }

    private func opener(_ pack: PackID) throws -> FrameOpener {
        if let opener = openers[pack] { return opener }
        if openers.count > 256 { openers.removeAll() }
        let opener = try packs.opener(pack, epoch: try packEpoch(pack))
        openers[pack] = opener
        return opener
    }

    private func packEpoch(_ pack: PackID) throws -> UInt32 {
        if currentEpoch == 1 { return 1 }
        return try waitBlocking { [packs] in try await packs.epoch(of: pack) }
    }

    private func keep(_ frame: FrameBytes, _ key: FrameKey) {
        guard frames.updateValue(frame, forKey: key) == nil else { return }
        order.append(key)
        cached += frame.count
        while cached > capacity, order.count > 1 {
            let oldest = order.removeFirst()
            if let gone = frames.removeValue(forKey: oldest) { cached -= gone.count }
        }
    }
}

extension PackReader {
    /// Which data key sealed a pack, from its last bytes.
    func epoch(of pack: PackID) async throws -> UInt32 {
        let tail = try await store.get(
            PackLayout.objectKey(pack), .suffix(PackLayout.endLength))
        return try PackLayout.epoch(ofTail: tail, pack: pack)
    }
}
