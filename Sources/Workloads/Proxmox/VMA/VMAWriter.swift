import Engine
import Glibc

/// Writes a VMA archive from disks that come from beginning to end, one after the other.
///
/// The same header and the same disks give the same archive, byte for byte: clusters in ascending
/// order, blocks of zeros left out, extents of 58 clusters as QEMU writes them. The header is the
/// first thing that goes out. Owned by one thread.
public final class VMAWriter {
    private let header: VMAHeader
    private let output: (UnsafeRawBufferPointer) throws -> Void
    private let extent = UnsafeMutableRawBufferPointer.allocate(
        byteCount: VMAFormat.largestExtent, alignment: 4096)
    private let cluster = UnsafeMutableRawBufferPointer.allocate(
        byteCount: VMAFormat.cluster, alignment: 4096)
    private var slots = 0
    private var blocks = 0
    private var extents: UInt64 = 0
    /// Place in `header.devices` of the disk that is being written.
    private var disk = 0
    private var number: UInt64 = 0
    private var filled = 0
    /// Bytes that went out.
    public private(set) var written: UInt64 = 0

    /// Writes the header.
    ///
    /// - Parameters:
    ///   - header: Its devices must come in this order.
    ///   - output: Takes the archive's bytes, in order.
    /// - Throws: `Failure` for configurations that have no room; what `output` throws.
    public init(
        _ header: VMAHeader, output: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        self.header = header
        self.output = output
        clearHeader()
        let bytes = try header.encoded()
        try bytes.withUnsafeBytes { try put($0) }
    }

    deinit {
        extent.deallocate()
        cluster.deallocate()
    }

    /// The next bytes of the disks; a disk may end anywhere in them.
    public func append(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let wanted = try room()
            let count = min(wanted - filled, rest.count)
            UnsafeMutableRawBufferPointer(rebasing: cluster[filled..<(filled + count)])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            filled += count
            if filled == wanted { try finishCluster(wanted, isZero: false) }
        }
    }

    /// The next bytes of the disks are so many zeros.
    public func appendZeros(_ count: UInt64) throws {
        var left = count
        while left > 0 {
            let wanted = try room()
            if filled == 0, left >= UInt64(wanted) {
                try finishCluster(wanted, isZero: true)
                left -= UInt64(wanted)
                continue
            }
            let count = Int(min(UInt64(wanted - filled), left))
            if let base = cluster.baseAddress { memset(base + filled, 0, count) }
            filled += count
            left -= UInt64(count)
            if filled == wanted { try finishCluster(wanted, isZero: false) }
        }
    }

    /// Writes what is left. All disks must have been given whole.
    public func finish() throws {
        precondition(disk == header.devices.count && filled == 0, "a disk is not whole")
        // An archive without disks has one empty extent.
        if slots > 0 || extents == 0 { try flush() }
    }

    /// Bytes of the cluster that is being filled.
    private func room() throws -> Int {
        precondition(disk < header.devices.count, "more bytes than the disks have")
        return VMAFormat.length(of: number, in: header.devices[disk].length)
    }

    private func finishCluster(_ length: Int, isZero: Bool) throws {
        let mask = isZero ? 0 : store(length)
        let word =
            UInt64(mask) << 48 | UInt64(header.devices[disk].number) << 32 | number
        withUnsafeBytes(of: word.bigEndian) { bytes in
            UnsafeMutableRawBufferPointer(rebasing: extent[(40 + 8 * slots)...])
                .copyMemory(from: bytes)
        }
        slots += 1
        filled = 0
        number += 1
        if number * UInt64(VMAFormat.cluster) >= header.devices[disk].length {
            number = 0
            disk += 1
        }
        if slots == VMAFormat.writtenSlots { try flush() }
    }

    /// Puts the blocks of the cluster that are not zero into the extent.
    private func store(_ length: Int) -> UInt16 {
        guard let source = cluster.baseAddress, let target = extent.baseAddress else { return 0 }
        let filling = (VMAFormat.block - length % VMAFormat.block) % VMAFormat.block
        memset(source + length, 0, filling)
        var mask: UInt16 = 0
        for block in 0..<((length + filling) / VMAFormat.block) {
            let from = source + block * VMAFormat.block
            if isAllZeros(UnsafeRawBufferPointer(start: from, count: VMAFormat.block)) { continue }
            mask |= 1 << block
            memcpy(
                target + VMAFormat.extentHeader + blocks * VMAFormat.block, from, VMAFormat.block)
            blocks += 1
        }
        return mask
    }

    private func flush() throws {
        let length = VMAFormat.extentHeader + blocks * VMAFormat.block
        let head = UnsafeMutableRawBufferPointer(rebasing: extent[..<VMAFormat.extentHeader])
        head.copyBytes(from: VMAFormat.extentMagic)
        withUnsafeBytes(of: UInt32(blocks).bigEndian) {
            UnsafeMutableRawBufferPointer(rebasing: head[4..<8]).copyMemory(from: $0)
        }
        UnsafeMutableRawBufferPointer(rebasing: head[8..<24]).copyBytes(from: header.uuid)
        let sum = VMAFormat.sum(UnsafeRawBufferPointer(head), sumAt: 24)
        UnsafeMutableRawBufferPointer(rebasing: head[24..<40]).copyBytes(from: sum)
        try put(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(extent)[..<length]))
        clearHeader()
        (slots, blocks) = (0, 0)
        extents += 1
    }

    private func clearHeader() {
        if let base = extent.baseAddress { memset(base, 0, VMAFormat.extentHeader) }
    }

    private func put(_ bytes: UnsafeRawBufferPointer) throws {
        try output(bytes)
        written += UInt64(bytes.count)
    }
}
