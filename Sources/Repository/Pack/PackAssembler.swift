import Engine
import FoundationEssentials
import Model

/// Collects sealed frames into packs and stores each pack when it is full.
///
/// Workers reserve a place, seal with the pack's key and that place's number, and deposit; so several
/// seal at once while the pack stays in one order. A full pack is stored in the background; when too
/// many are under way, `reserve` waits. Safe to call from several threads; all calls block.
final class PackAssembler: Sendable {
    /// A place in an open pack.
    struct Slot: Sendable {
        let layout: PackLayout
        let number: UInt32
        fileprivate let buffer: PackBuffer
        fileprivate let offset: Int
        fileprivate let length: Int

        /// Where the sealed frame goes; belongs to who reserved it, until it is deposited.
        var bytes: UnsafeMutableRawBufferPointer {
            UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[offset..<(offset + length)])
        }
    }

    private struct Frame {
        var storedLength: UInt32
        var plainLength: UInt32
        var encoding: FrameEncoding
        var chunks: [(id: ChunkID, length: UInt32)]
    }

    private struct OpenPack {
        var layout: PackLayout
        var buffer: PackBuffer
        var frames: [Frame?] = []
        /// Bytes of sealed frames, without the header.
        var length = 0
        var chunks = 0
        var missing = 0
    }

    private struct State {
        /// The pack that new frames go to.
        var open: OpenPack?
        /// Packs that are full but wait for a frame that is still being sealed.
        var closing: [PackID: OpenPack] = [:]
        /// Packs that are being stored.
        var underWay = 0
        /// Buffers that no pack uses now.
        var buffers: [PackBuffer] = []
        var failure: (any Error)?
        var storedBytes: UInt64 = 0
        var storedPacks: [PackID: UInt64] = [:]
    }

    private let state = Monitor(State())
    private let secrets: MasterSecrets
    private let store: any ObjectStore
    private let index: any ChunkIndex
    private let limit: Int
    private let target: Int
    private let makePackID: @Sendable () -> PackID

    /// - Parameters:
    ///   - limit: Most packs being stored at once, each in memory as a whole.
    ///   - target: Length at which a pack is full, in bytes.
    init(
        secrets: MasterSecrets, store: any ObjectStore, index: any ChunkIndex, limit: Int = 2,
        target: Int = PackLayout.targetLength,
        makePackID: @escaping @Sendable () -> PackID = { .random() }
    ) {
        self.secrets = secrets
        self.store = store
        self.index = index
        self.limit = limit
        self.target = target
        self.makePackID = makePackID
    }

    /// Bytes of packs stored so far, and their names with their sizes.
    var stored: (bytes: UInt64, packs: [PackID: UInt64]) {
        state.update { ($0.storedBytes, $0.storedPacks) }
    }

    /// A place for a frame whose sealed length, tag included, is `length`.
    func reserve(_ length: Int, chunks: Int) throws -> Slot {
        try state.wait { state -> Slot? in
            if let failure = state.failure { throw failure }
            if state.open == nil {
                guard state.underWay + state.closing.count < limit else { return nil }
                let epoch = secrets.currentEpoch
                guard let layout = PackLayout(pack: makePackID(), epoch: epoch, secrets: secrets)
                else { throw FormatError("key slot", "it holds no data key") }
                let buffer =
                    state.buffers.popLast()
                    ?? PackBuffer(capacity: target + PackLayout.maximumFrame)
                state.open = OpenPack(layout: layout, buffer: buffer)
            }
            guard var open = state.open else { return nil }
            let slot = Slot(
                layout: open.layout, number: UInt32(open.frames.count), buffer: open.buffer,
                offset: open.length, length: length)
            open.frames.append(nil)
            open.missing += 1
            open.length += length
            open.chunks += chunks
            state.open = open
            // Closed while there is still room for what the largest frame lists.
            if open.length >= target || open.frames.count >= PackLayout.maximumFrames
                || open.chunks + FrameBuilder.maximumChunks > PackLayout.maximumChunks
            {
                close(&state)
            }
            return slot
        }
    }

    /// Says that the slot's bytes hold its sealed frame.
    func deposit(
        _ slot: Slot, plainLength: Int, encoding: FrameEncoding,
        chunks: [(id: ChunkID, length: UInt32)]
    ) {
        let frame = Frame(
            storedLength: UInt32(slot.length), plainLength: UInt32(plainLength),
            encoding: encoding, chunks: chunks)
        let ready: OpenPack? = state.update { state in
            let pack = slot.layout.pack
            if state.open?.layout.pack == pack {
                state.open?.frames[Int(slot.number)] = frame
                state.open?.missing -= 1
                return nil
            }
            state.closing[pack]?.frames[Int(slot.number)] = frame
            state.closing[pack]?.missing -= 1
            return takeIfComplete(pack, &state)
        }
        if let ready { send(ready) }
    }

    /// Ends the session for everyone with `error`, unless it has failed already.
    func fail(_ error: any Error) {
        state.update { if $0.failure == nil { $0.failure = error } }
    }

    /// Why the session has failed, if it has.
    var failure: (any Error)? { state.update { $0.failure } }

    /// Stores what is open and waits until every pack so far is durable and in the index.
    func flush() throws {
        let ready: OpenPack? = state.update { state in
            guard let open = state.open else { return nil }
            close(&state)
            return takeIfComplete(open.layout.pack, &state)
        }
        if let ready { send(ready) }
        _ = try state.wait { state -> Bool? in
            if let failure = state.failure { throw failure }
            return state.underWay == 0 && state.closing.isEmpty ? true : nil
        }
    }

    private func close(_ state: inout State) {
        guard let open = state.open else { return }
        state.closing[open.layout.pack] = open
        state.open = nil
    }

    private func takeIfComplete(_ pack: PackID, _ state: inout State) -> OpenPack? {
        guard let complete = state.closing[pack], complete.missing == 0 else { return nil }
        state.closing[pack] = nil
        state.underWay += 1
        return complete
    }

    private func send(_ pack: OpenPack) {
        Task.detached { [self] in
            do {
                let contents = try await write(pack)
                try await BlockingPool.shared.run { [index] in try index.record(contents) }
                state.update {
                    $0.storedBytes += contents.size
                    $0.storedPacks[contents.pack] = contents.size
                    $0.underWay -= 1
                    $0.buffers.append(pack.buffer)
                }
            } catch {
                state.update {
                    if $0.failure == nil { $0.failure = error }
                    $0.underWay -= 1
                }
            }
        }
    }

    private func write(_ pack: OpenPack) async throws -> PackContents {
        var places: [FrameLocation] = []
        var chunks: [PackContents.Entry] = []
        var offset = UInt64(PackLayout.headerLength)
        for (number, frame) in pack.frames.enumerated() {
            guard let frame else { throw FormatError("pack", "a frame was never deposited") }
            places.append(
                FrameLocation(
                    number: UInt32(number), offset: offset, storedLength: frame.storedLength,
                    plainLength: frame.plainLength, encoding: frame.encoding.rawValue))
            var position: UInt32 = 0
            for chunk in frame.chunks {
                chunks.append(
                    PackContents.Entry(
                        id: chunk.id, frame: UInt32(number), offset: position,
                        length: chunk.length))
                position += chunk.length
            }
            offset += UInt64(frame.storedLength)
        }
        let envelope = try pack.layout.envelope(frames: places, chunks: chunks)
        try await store.put(
            PackLayout.objectKey(pack.layout.pack),
            [envelope.header, pack.buffer.data(pack.length), envelope.rest])
        return PackContents(
            pack: pack.layout.pack, size: envelope.size, epoch: pack.layout.epoch, frames: places,
            chunks: chunks)
    }
}

/// The sealed frames of one pack, one after the other; used again for later packs, so that memory
/// stays as it is however much is written.
///
/// Proof of the unchecked conformance: a slot's range belongs to the one thread that reserved it, until
/// it deposits it; the whole is read by the one task that stores the pack, which begins when every
/// slot is deposited, under the assembler's lock; then the buffer goes back, under that lock.
private final class PackBuffer: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer

    init(capacity: Int) { bytes = .allocate(byteCount: capacity, alignment: 4096) }
    deinit { bytes.deallocate() }

    /// The first bytes, not copied: not to be used once the pack is stored.
    func data(_ count: Int) -> Data {
        guard count > 0, let base = bytes.baseAddress else { return Data() }
        return Data(bytesNoCopy: base, count: count, deallocator: .none)
    }
}
