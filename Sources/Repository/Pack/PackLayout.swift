import Crypto
package import FoundationEssentials
package import Model

/// The bytes of a pack. FORMAT.md, section 4, has the same in words.
///
/// ```
/// header   magic "dr-pack" 1 (8) | epoch (4) | zeros (4)
/// frames   each: AES-256-GCM ciphertext | tag (16); nonce = frame number
/// padding  zeros, to the next Padmé size
/// trailer  sealed list of frames and chunks; nonce = 2^64 - 1
/// footer   sealed offset and length of the trailer; nonce = 2^64 - 2
/// end      magic "dr-tail" 1 (8) | epoch (4) | zeros (4)
/// ```
package struct PackLayout: Sendable {
    static let magic: [UInt8] = Array("dr-pack".utf8) + [1]
    static let endMagic: [UInt8] = Array("dr-tail".utf8) + [1]
    static let headerLength = 16
    static let footerLength = 16 + 16
    static let endLength = 16
    static let tagLength = 16
    /// A pack is closed when its frames reach this many bytes.
    static let targetLength = 32 << 20
    /// Full packs are padded to a multiple of this.
    private static let fullStep: UInt64 = 64 << 10
    /// A pack is closed when it has this many frames, however small.
    static let maximumFrames = 4096
    /// No frame's plaintext is larger; what is written has at most the target of a frame and the
    /// largest chunk together.
    static let maximumFrame = 4 << 20
    /// No pack lists more chunks, so that its list stays small beside what it lists.
    package static let maximumChunks = 1 << 18
    /// No pack is longer, its padding included.
    static let maximumLength = 256 << 20
    /// The longest list, sealed.
    static let maximumTrailer = 9 + maximumFrames * 9 + maximumChunks * 40 + tagLength
    private static let trailerNonce = UInt64.max
    private static let footerNonce = UInt64.max - 1

    let pack: PackID
    let epoch: UInt32
    private let key: SymmetricKey
    private let binding: [UInt8]

    /// - Returns: nil when the secrets have no data key of that epoch.
    package init?(pack: PackID, epoch: UInt32, secrets: MasterSecrets) {
        guard let key = secrets.packKey(pack, epoch: epoch) else { return nil }
        self.pack = pack
        self.epoch = epoch
        self.key = key
        binding = secrets.repository.bytes + pack.bytes
    }

    package static func objectKey(_ pack: PackID) -> ObjectKey {
        let name = pack.description
        return ObjectKey("packs/\(name.prefix(2))/\(name)")
    }

    private static func nonce(_ number: UInt64) throws -> AES.GCM.Nonce {
        var bytes: (UInt32, UInt64) = (0, 0)
        bytes.1 = number.bigEndian
        return try withUnsafeBytes(of: bytes.1) { try AES.GCM.Nonce(data: [0, 0, 0, 0] + $0) }
    }

    /// What each part of a pack is sealed as, so that none can stand in for another.
    private enum Part: String {
        case frame = "dr frame 1"
        case trailer = "dr trailer 1"
        case footer = "dr footer 1"
    }

    private func associatedData(_ part: Part) -> [UInt8] { Array(part.rawValue.utf8) + binding }

    /// Seals a frame. The result is nonce (12 bytes, not stored), ciphertext and tag.
    package func sealFrame(_ number: UInt32, _ bytes: UnsafeRawBufferPointer) throws -> Data {
        let box = try AES.GCM.seal(
            bytes, using: key, nonce: Self.nonce(UInt64(number)),
            authenticating: associatedData(.frame))
        guard let combined = box.combined else { throw FormatError("pack", "cannot be sealed") }
        return combined
    }

    /// Opens what `sealFrame` made, without the nonce.
    package func openFrame(
        _ number: UInt32, _ sealed: UnsafeRawBufferPointer
    ) throws(FormatError) -> Data {
        try open(sealed, nonce: UInt64(number), as: .frame, what: "frame \(number)")
    }

    private func open(
        _ sealed: UnsafeRawBufferPointer, nonce: UInt64, as part: Part, what: String
    ) throws(FormatError) -> Data {
        guard sealed.count >= Self.tagLength else {
            throw FormatError("pack \(pack)", "\(what) is too short")
        }
        do {
            let body = UnsafeRawBufferPointer(rebasing: sealed.dropLast(Self.tagLength))
            let tag = UnsafeRawBufferPointer(rebasing: sealed.suffix(Self.tagLength))
            let box = try AES.GCM.SealedBox(nonce: Self.nonce(nonce), ciphertext: body, tag: tag)
            return try AES.GCM.open(box, using: key, authenticating: associatedData(part))
        } catch {
            throw FormatError("pack \(pack)", "the seal of \(what) does not fit")
        }
    }

    private func seal(_ bytes: [UInt8], nonce: UInt64, as part: Part) throws -> Data {
        let box = try AES.GCM.seal(
            bytes, using: key, nonce: Self.nonce(nonce), authenticating: associatedData(part))
        return box.ciphertext + box.tag
    }

    // MARK: The whole pack

    /// The first bytes of the pack.
    var header: [UInt8] { Self.mark(Self.magic, epoch) }
    /// The last bytes of the pack.
    var end: [UInt8] { Self.mark(Self.endMagic, epoch) }

    private static func mark(_ magic: [UInt8], _ epoch: UInt32) -> [UInt8] {
        var writer = ByteWriter()
        writer.append(magic)
        writer.append(epoch)
        writer.append(UInt32(0))
        return writer.bytes
    }

    /// Header, padding, trailer, footer and end around frames that are sealed already.
    ///
    /// - Parameters:
    ///   - frames: Their places; `offset` counts from the start of the pack.
    ///   - chunks: Every chunk, in storage order.
    /// - Returns: The header, what follows the frames, and the size of the whole.
    package func envelope(frames: [FrameLocation], chunks: [PackContents.Entry]) throws
        -> (header: Data, rest: Data, size: UInt64)
    {
        var trailer = ByteWriter()
        trailer.append(UInt8(1))
        trailer.append(UInt32(frames.count))
        trailer.append(UInt32(chunks.count))
        for frame in frames {
            trailer.append(frame.storedLength)
            trailer.append(frame.plainLength)
            trailer.append(frame.encoding)
        }
        for chunk in chunks {
            trailer.append(chunk.id)
            trailer.append(chunk.frame)
            trailer.append(chunk.length)
        }
        let sealedTrailer = try seal(trailer.bytes, nonce: Self.trailerNonce, as: .trailer)

        let end =
            frames.last.map { $0.offset + UInt64($0.storedLength) } ?? UInt64(Self.headerLength)
        let fixed = UInt64(sealedTrailer.count + Self.footerLength + Self.endLength)
        // A full pack says little by its size: it is always about the same.
        let isFull = end >= UInt64(Self.targetLength)
        let size =
            isFull
            ? (end + fixed + Self.fullStep - 1) & ~(Self.fullStep - 1) : Self.padded(end + fixed)
        let trailerOffset = size - fixed
        var footer = ByteWriter()
        footer.append(trailerOffset)
        footer.append(UInt64(sealedTrailer.count))
        var rest = Data(count: Int(trailerOffset - end))
        rest.append(sealedTrailer)
        rest.append(try seal(footer.bytes, nonce: Self.footerNonce, as: .footer))
        rest.append(contentsOf: self.end)
        return (Data(header), rest, size)
    }

    /// The next Padmé size: hides all but about log log n bits of a length, and adds at most 12 %.
    ///
    /// - SeeAlso: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication
    ///   with PURBs", PoPETs 2019.
    package static func padded(_ length: UInt64) -> UInt64 {
        guard length > 1 else { return length }
        let exponent = 63 - UInt64(length.leadingZeroBitCount)
        let bits = 64 - UInt64(exponent.leadingZeroBitCount)
        guard exponent > bits else { return length }
        let mask = (UInt64(1) << (exponent - bits)) - 1
        return (length + mask) & ~mask
    }

    // MARK: Reading

    /// How many bytes at the end of a pack hold the trailer in all but unusual packs.
    static let usualTail = 96 << 10

    /// Epoch of a pack, from the last 16 bytes.
    package static func epoch(ofTail tail: Data, pack: PackID) throws(FormatError) -> UInt32 {
        let end = Array(tail.suffix(endLength))
        guard end.count == endLength, end.starts(with: endMagic.prefix(7)) else {
            throw FormatError("pack \(pack)", "its end is missing: it was cut short or overwritten")
        }
        guard end[7] == 1 else {
            throw FormatError("pack \(pack)", "it was written by a newer version of dr")
        }
        return UInt32(end[8]) | UInt32(end[9]) << 8 | UInt32(end[10]) << 16 | UInt32(end[11]) << 24
    }

    /// Offset and length of the sealed trailer, from the pack's last bytes.
    package func trailerPlace(
        tail: Data, size: UInt64
    ) throws(FormatError) -> (offset: UInt64, length: Int) {
        guard tail.count >= Self.endLength + Self.footerLength else {
            throw FormatError("pack \(pack)", "it is too short")
        }
        let sealed = Array(tail.dropLast(Self.endLength).suffix(Self.footerLength))
        let opened = try sealed.withUnsafeBytesResult { bytes throws(FormatError) in
            try open(bytes, nonce: Self.footerNonce, as: .footer, what: "the footer")
        }
        var reader = ByteReader(Array(opened)[...], in: "pack \(pack)")
        let offset = try reader.readUInt64()
        let length = try reader.readUInt64()
        guard size <= UInt64(Self.maximumLength), length <= UInt64(Self.maximumTrailer) else {
            throw FormatError("pack \(pack)", "it or its list is larger than a pack may be")
        }
        let behind = length + UInt64(Self.footerLength + Self.endLength)
        guard size >= UInt64(Self.headerLength) + behind, offset == size - behind
        else {
            throw FormatError("pack \(pack)", "it has another length than when it was written")
        }
        return (offset, Int(length))
    }

    /// What the pack holds, from its sealed trailer.
    package func contents(trailer sealed: Data, size: UInt64) throws(FormatError) -> PackContents {
        let opened = try Array(sealed).withUnsafeBytesResult { bytes throws(FormatError) in
            try open(bytes, nonce: Self.trailerNonce, as: .trailer, what: "the trailer")
        }
        var reader = ByteReader(Array(opened)[...], in: "pack \(pack)")
        guard try reader.readByte() == 1 else {
            throw FormatError("pack \(pack)", "it was written by a newer version of dr")
        }
        // The frames end where padding and trailer begin.
        let after = UInt64(sealed.count + Self.footerLength + Self.endLength)
        guard size >= after else { throw FormatError("pack \(pack)", "it is too short") }
        let end = size - after
        let frameCount = Int(try reader.readUInt32())
        let chunkCount = Int(try reader.readUInt32())
        guard frameCount <= Self.maximumFrames, chunkCount <= Self.maximumChunks,
            frameCount * 9 + chunkCount * 40 == reader.remaining
        else {
            throw FormatError("pack \(pack)", "its list has the wrong length")
        }
        let frames = try readFrames(frameCount, &reader, end: end)
        let chunks = try readChunks(chunkCount, &reader, of: frames)
        return PackContents(pack: pack, size: size, epoch: epoch, frames: frames, chunks: chunks)
    }

    private func readFrames(
        _ count: Int, _ reader: inout ByteReader, end: UInt64
    ) throws(FormatError) -> [FrameLocation] {
        var frames: [FrameLocation] = []
        frames.reserveCapacity(count)
        var offset = UInt64(Self.headerLength)
        for number in 0..<count {
            let stored = try reader.readUInt32()
            let plain = try reader.readUInt32()
            let encoding = try reader.readByte()
            // What does not get smaller is stored as it is: no frame is longer than its plaintext.
            guard plain >= 1, plain <= Self.maximumFrame, encoding <= 1,
                stored > Self.tagLength, stored <= plain + UInt32(Self.tagLength),
                offset + UInt64(stored) <= end
            else { throw FormatError("pack \(pack)", "a frame of its list is out of bounds") }
            frames.append(
                FrameLocation(
                    number: UInt32(number), offset: offset, storedLength: stored,
                    plainLength: plain, encoding: encoding))
            offset += UInt64(stored)
        }
        return frames
    }

    /// Chunks stand in the order of storage and fill their frames.
    private func readChunks(
        _ count: Int, _ reader: inout ByteReader, of frames: [FrameLocation]
    ) throws(FormatError) -> [PackContents.Entry] {
        var chunks: [PackContents.Entry] = []
        chunks.reserveCapacity(count)
        var frame = 0
        var position: UInt32 = 0
        for _ in 0..<count {
            let id: ChunkID = try reader.readIdentifier()
            let number = try reader.readUInt32()
            let length = try reader.readUInt32()
            if frame < frames.count, position == frames[frame].plainLength {
                frame += 1
                position = 0
            }
            guard frame < frames.count, Int(number) == frame, length >= 1,
                UInt64(length) <= ChunkReference.maximumChunk,
                length <= frames[frame].plainLength - position
            else { throw FormatError("pack \(pack)", "a chunk of its list is out of bounds") }
            chunks.append(
                PackContents.Entry(id: id, frame: number, offset: position, length: length))
            position += length
        }
        guard frames.isEmpty || (frame == frames.count - 1 && position == frames[frame].plainLength)
        else { throw FormatError("pack \(pack)", "its list leaves something out") }
        return chunks
    }
}

extension Array where Element == UInt8 {
    /// `withUnsafeBytes` that keeps the type of the error.
    func withUnsafeBytesResult<Value, Thrown: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Thrown) -> Value
    ) throws(Thrown) -> Value {
        let result: Result<Value, Thrown> = withUnsafeBytes { bytes in
            do throws(Thrown) { return .success(try body(bytes)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
