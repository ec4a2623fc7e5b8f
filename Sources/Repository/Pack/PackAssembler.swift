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
    }

    private struct Frame {
        var sealed: Data
        var plainLength: UInt32
        var encoding: FrameEncoding
        var chunks: [(id: ChunkID, length: UInt32)]
    }

    private struct OpenPack {
        var layout: PackLayout
        var frames: [Frame?] = []
        var length = PackLayout.headerLength
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

    /// - Parameters:
    ///   - limit: Most packs being stored at once, each in memory as a whole.
    ///   - target: Length at which a pack is full, in bytes.
    init(
        secrets: MasterSecrets, store: any ObjectStore, index: any ChunkIndex, limit: Int = 2,
        target: Int = PackLayout.targetLength
    ) {
        self.secrets = secrets
        self.store = store
        self.index = index
        self.limit = limit
        self.target = target
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
                guard let layout = PackLayout(pack: .random(), epoch: epoch, secrets: secrets)
                else { throw FormatError("key slot", "it holds no data key") }
                state.open = OpenPack(layout: layout)
            }
            guard var open = state.open else { return nil }
            let slot = Slot(layout: open.layout, number: UInt32(open.frames.count))
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

    /// Puts a sealed frame into its place.
    ///
    /// - Parameter sealed: As `PackLayout.sealFrame` made it, nonce first.
    func deposit(
        _ slot: Slot, sealed: Data, plainLength: Int, encoding: FrameEncoding,
        chunks: [(id: ChunkID, length: UInt32)]
    ) {
        let frame = Frame(
            sealed: sealed, plainLength: UInt32(plainLength), encoding: encoding, chunks: chunks)
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
        var parts: [Data] = []
        var offset = UInt64(PackLayout.headerLength)
        for (number, frame) in pack.frames.enumerated() {
            guard let frame else { throw FormatError("pack", "a frame was never deposited") }
            let sealed = frame.sealed.dropFirst(12)
            places.append(
                FrameLocation(
                    number: UInt32(number), offset: offset, storedLength: UInt32(sealed.count),
                    plainLength: frame.plainLength, encoding: frame.encoding.rawValue))
            var position: UInt32 = 0
            for chunk in frame.chunks {
                chunks.append(
                    PackContents.Entry(
                        id: chunk.id, frame: UInt32(number), offset: position,
                        length: chunk.length))
                position += chunk.length
            }
            offset += UInt64(sealed.count)
            parts.append(sealed)
        }
        let envelope = try pack.layout.envelope(frames: places, chunks: chunks)
        try await store.put(
            PackLayout.objectKey(pack.layout.pack), [envelope.header] + parts + [envelope.rest])
        return PackContents(
            pack: pack.layout.pack, size: envelope.size, epoch: pack.layout.epoch, frames: places,
            chunks: chunks)
    }
}
