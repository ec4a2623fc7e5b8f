import Engine
import FoundationEssentials
public import Model

/// Reads packs: their lists, and ranges of their frames.
public struct PackReader: Sendable {
    private let secrets: MasterSecrets
    let store: any ObjectStore

    init(secrets: MasterSecrets, store: any ObjectStore) {
        self.secrets = secrets
        self.store = store
    }

    private func layout(_ pack: PackID, epoch: UInt32) throws(FormatError) -> PackLayout {
        guard let layout = PackLayout(pack: pack, epoch: epoch, secrets: secrets) else {
            throw FormatError("pack \(pack)", "no key slot holds its data key \(epoch)")
        }
        return layout
    }

    /// What a pack lists, read from its end; the frames are not read.
    ///
    /// - Parameter size: The object's size in bytes, as a listing shows it.
    /// - Throws: ``FormatError`` when the pack was cut short or damaged there, ``ObjectMissing``.
    public func contents(
        of pack: PackID, size: UInt64, _ nearness: Nearness = .kept
    ) async throws -> PackContents {
        do {
            return try await contentsAsRead(pack, size, nearness)
        } catch is FormatError {
            // What was wrong on its way here may be right in the store.
            return try await contentsAsRead(
                pack, size, nearness == .store ? .store : .renewed)
        }
    }

    private func contentsAsRead(
        _ pack: PackID, _ size: UInt64, _ nearness: Nearness
    ) async throws -> PackContents {
        let key = PackLayout.objectKey(pack)
        let tail = try await store.get(key, .suffix(PackLayout.usualTail), nearness)
        let layout = try layout(pack, epoch: PackLayout.epoch(ofTail: tail, pack: pack))
        let place = try layout.trailerPlace(tail: tail, size: size)
        let fromEnd = Int(size - place.offset)
        let trailer: Data
        if fromEnd <= tail.count {
            trailer = Data(tail.suffix(fromEnd).prefix(place.length))
        } else {
            // Where a copy had to be renewed, this part of it is dropped by now.
            trailer = try await store.get(
                key, .bytes(offset: place.offset, length: place.length),
                nearness == .store ? .store : .kept)
        }
        return try layout.contents(trailer: trailer, size: size)
    }

    /// The sealed bytes of consecutive frames of one pack.
    func sealedFrames(
        _ pack: PackID, from first: FrameLocation, through last: FrameLocation,
        _ nearness: Nearness = .store
    ) async throws -> Data {
        let length = last.offset + UInt64(last.storedLength) - first.offset
        let data = try await store.get(
            PackLayout.objectKey(pack), .bytes(offset: first.offset, length: Int(length)),
            nearness)
        guard data.count == Int(length) else {
            if nearness == .kept {
                return try await sealedFrames(pack, from: first, through: last, .renewed)
            }
            throw FormatError("pack \(pack)", "it ends too early")
        }
        return data
    }

    /// The plaintext of one frame of bytes that were fetched; what does not open is fetched again, by
    /// itself: it may have been wrong only on its way here. Blocks then.
    func open(
        _ frame: FrameLocation, _ sealed: UnsafeRawBufferPointer, _ opener: FrameOpener,
        with decompressor: FrameDecompressor
    ) throws -> FrameBytes {
        do {
            return try opener.open(frame, sealed: sealed, with: decompressor)
        } catch {
            let again = try waitBlocking {
                try await sealedFrames(opener.layout.pack, from: frame, through: frame, .renewed)
            }
            return try again.withUnsafeBytes {
                try opener.open(frame, sealed: $0, with: decompressor)
            }
        }
    }

    /// Opens frames of one pack.
    func opener(_ pack: PackID, epoch: UInt32) throws(FormatError) -> FrameOpener {
        FrameOpener(layout: try layout(pack, epoch: epoch))
    }
}

/// Opens and decompresses frames of one pack; owned by one thread at a time.
struct FrameOpener {
    let layout: PackLayout

    /// The plaintext of a frame.
    func open(
        _ frame: FrameLocation, sealed: UnsafeRawBufferPointer, with decompressor: FrameDecompressor
    ) throws(FormatError) -> FrameBytes {
        try expand(try layout.openFrame(frame.number, sealed), of: frame, with: decompressor)
    }

    /// The plaintext of a frame whose seal was opened.
    func expand(
        _ opened: Data, of frame: FrameLocation, with decompressor: FrameDecompressor
    ) throws(FormatError) -> FrameBytes {
        let object = "pack \(layout.pack)"
        guard frame.plainLength <= PackLayout.maximumFrame else {
            throw FormatError(object, "frame \(frame.number) claims to be too large")
        }
        let bytes = FrameBytes(count: Int(frame.plainLength))
        let result: Result<Void, FormatError> = opened.withUnsafeBytes { payload in
            do throws(FormatError) {
                if frame.encoding == FrameEncoding.zstd.rawValue {
                    try decompressor.decompress(payload, into: bytes.mutable, object: object)
                } else {
                    guard payload.count == bytes.count else {
                        throw FormatError(object, "frame \(frame.number) has another length")
                    }
                    bytes.mutable.copyMemory(from: payload)
                }
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
        return bytes
    }
}

/// The plaintext of one frame; written once before it is shared, read-only from then on.
final class FrameBytes: Sendable {
    nonisolated(unsafe) fileprivate let mutable: UnsafeMutableRawBufferPointer

    init(count: Int) { mutable = .allocate(byteCount: count, alignment: 64) }
    deinit { mutable.deallocate() }

    var count: Int { mutable.count }
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(mutable) }
}
