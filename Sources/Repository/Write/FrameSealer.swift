import FoundationEssentials
import Model

/// A place in the writing of a frame where a test may damage memory.
public enum MemoryFaultPoint: Sendable, CaseIterable {
    case afterNaming, afterCompressing, afterSealing
}

/// Damages bytes on their way, to show that it is noticed; only tests have one.
public typealias MemoryFault = @Sendable (MemoryFaultPoint, UnsafeMutableRawBufferPointer) -> Void

/// Compresses, seals and verifies frames; owned by one thread.
///
/// Nothing is deposited before it has been opened and decompressed again and every chunk in it has
/// the sum that was taken before it was named.
final class FrameSealer {
    private let compressor: FrameCompressor
    private let decompressor = FrameDecompressor()
    private let check: UnsafeMutableRawBufferPointer
    private let assembler: PackAssembler
    private let fault: MemoryFault?

    init(level: Int, assembler: PackAssembler, fault: MemoryFault?) throws {
        compressor = try FrameCompressor(level: level)
        check = .allocate(byteCount: FrameBuilder.capacity, alignment: 64)
        self.assembler = assembler
        self.fault = fault
    }

    deinit { check.deallocate() }

    /// Seals what `builder` holds and empties it.
    func seal(_ builder: FrameBuilder) throws {
        let plain = UnsafeRawBufferPointer(builder.bytes)
        let compressed = try compressor.compress(plain)
        if let compressed, let fault {
            fault(.afterCompressing, UnsafeMutableRawBufferPointer(mutating: compressed))
        }
        let payload = compressed ?? plain
        let slot = try assembler.reserve(
            payload.count + PackLayout.tagLength, chunks: builder.entries.count)
        try slot.layout.sealFrame(slot.number, payload).withUnsafeBytes {
            slot.bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[12...]))
        }
        if let fault { fault(.afterSealing, slot.bytes) }
        do {
            try verify(slot, isCompressed: compressed != nil, builder)
        } catch {
            throw Failure(
                .failed, "a frame does not read back as it was written",
                hint: "nothing refers to it; this machine's memory may be faulty: test it",
                cause: "\(error)", side: .local)
        }
        assembler.deposit(
            slot, plainLength: plain.count, encoding: compressed == nil ? .plain : .zstd,
            chunks: builder.entries.map { ($0.id, $0.length) })
        builder.clear()
    }

    /// Opens the bytes that will be stored, where they lie.
    private func verify(
        _ slot: PackAssembler.Slot, isCompressed: Bool, _ builder: FrameBuilder
    ) throws {
        let opened = try slot.layout.openFrame(slot.number, UnsafeRawBufferPointer(slot.bytes))
        try opened.withUnsafeBytes { bytes in
            var plain = bytes
            if isCompressed {
                let target = UnsafeMutableRawBufferPointer(rebasing: check[..<builder.count])
                try decompressor.decompress(bytes, into: target, object: "frame")
                plain = UnsafeRawBufferPointer(target)
            }
            guard plain.count == builder.count else {
                throw FormatError("frame", "it has another length")
            }
            var offset = 0
            for entry in builder.entries {
                let chunk = plain[offset..<(offset + Int(entry.length))]
                guard MemoryChecksum.of(UnsafeRawBufferPointer(rebasing: chunk)) == entry.checksum
                else { throw FormatError("frame", "chunk \(entry.id.short) has changed") }
                offset += Int(entry.length)
            }
        }
    }
}
