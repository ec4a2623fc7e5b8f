import Engine
import FoundationEssentials
import Model

/// Frames that do not open, by pack.
struct DamagedFrames: Sendable {
    /// Packs of which nothing can be read, and why.
    var packs: [PackID: String] = [:]
    /// Single frames of packs whose list is whole.
    var frames: [PackID: Set<UInt32>] = [:]

    func holds(_ place: ChunkLocation) -> Bool {
        packs[place.pack] != nil || frames[place.pack]?.contains(place.frame.number) == true
    }
}

/// Reads one pack from beginning to end and opens everything in it. Blocks.
struct PackCheck: Sendable {
    let repository: BackupRepository

    /// What of the pack is damaged.
    ///
    /// - Returns: Numbers of damaged frames with reasons, and the bytes read.
    /// - Throws: `FormatError` when its list cannot be read, `ObjectMissing`.
    func check(_ pack: PackID) throws -> (damaged: [UInt32: String], bytes: UInt64) {
        let key = PackLayout.objectKey(pack)
        let whole = try waitBlocking { [store = repository.store] in
            try await store.get(key, atMost: PackLayout.maximumLength)
        }
        let size = UInt64(whole.count)
        guard
            let layout = PackLayout(
                pack: pack, epoch: try PackLayout.epoch(ofTail: whole, pack: pack),
                secrets: repository.secrets)
        else { throw FormatError(key.path, "no key slot holds its data key") }
        let place = try layout.trailerPlace(
            tail: Data(whole.suffix(PackLayout.usualTail)), size: size)
        let trailer = Data(whole.dropFirst(Int(place.offset)).prefix(place.length))
        let contents = try layout.contents(trailer: trailer, size: size)
        guard Array(whole.prefix(PackLayout.headerLength)) == layout.header else {
            throw FormatError(key.path, "its beginning is not a pack's")
        }
        guard Array(whole.suffix(PackLayout.endLength)) == layout.end else {
            throw FormatError(key.path, "its end is not a pack's")
        }
        try checkPadding(whole, contents, until: place.offset, key)
        let namer = ChunkNamer(secret: repository.secrets.naming)
        let decompressor = FrameDecompressor()
        let opener = FrameOpener(layout: layout)
        var damaged: [UInt32: String] = [:]
        var next = 0
        for frame in contents.frames {
            let first = next
            while next < contents.chunks.count, contents.chunks[next].frame == frame.number {
                next += 1
            }
            do throws(FormatError) {
                try check(
                    frame, contents.chunks[first..<next], whole, opener, decompressor, namer)
            } catch {
                damaged[frame.number] = error.reason
            }
        }
        return (damaged, size)
    }

    private func check(
        _ frame: FrameLocation, _ chunks: ArraySlice<PackContents.Entry>, _ whole: Data,
        _ opener: FrameOpener, _ decompressor: FrameDecompressor, _ namer: ChunkNamer
    ) throws(FormatError) {
        let result: Result<Void, FormatError> = whole.withUnsafeBytes { bytes in
            do throws(FormatError) {
                let start = Int(frame.offset)
                let plain = try opener.open(
                    frame,
                    sealed: UnsafeRawBufferPointer(
                        rebasing: bytes[start..<(start + Int(frame.storedLength))]),
                    with: decompressor)
                for chunk in chunks {
                    let start = Int(chunk.offset)
                    let slice = UnsafeRawBufferPointer(
                        rebasing: plain.bytes[start..<(start + Int(chunk.length))])
                    guard
                        namer.name(slice, role: .data) == chunk.id
                            || namer.name(slice, role: .node) == chunk.id
                    else {
                        throw FormatError(
                            "frame \(frame.number)", "chunk \(chunk.id.short) has another name")
                    }
                }
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// Padding holds nothing, but a store that changes it changes other bytes too.
    private func checkPadding(
        _ whole: Data, _ contents: PackContents, until end: UInt64, _ key: ObjectKey
    ) throws(FormatError) {
        let start =
            contents.frames.last.map { $0.offset + UInt64($0.storedLength) }
            ?? UInt64(PackLayout.headerLength)
        let isClean = whole.withUnsafeBytes { bytes in
            start <= end
                && isAllZeros(UnsafeRawBufferPointer(rebasing: bytes[Int(start)..<Int(end)]))
        }
        if !isClean { throw FormatError(key.path, "its padding has changed") }
    }
}
