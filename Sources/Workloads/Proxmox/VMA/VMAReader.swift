import CLinux
import Engine
import Glibc
import Model

/// Takes the clusters of an archive in the order in which they come.
public protocol VMAClusterReceiver: AnyObject {
    /// A cluster that is not all zeros, or was not known to be.
    ///
    /// - Parameters:
    ///   - cluster: Its number; its bytes belong at 65536 times that.
    ///   - bytes: 65536, or what the disk has left; valid during the call.
    func receive(
        _ device: VMAHeader.Device, cluster: UInt64, _ bytes: UnsafeRawBufferPointer
    ) throws
}

/// Reads a VMA archive as it comes, and believes nothing: each cluster of each disk must come once
/// and only once, and nothing may follow.
///
/// Memory is bounded whatever the order: one extent (3.9 MB) and a bit for each cluster (2 MB a
/// terabyte). Owned by one thread; calls block.
public final class VMAReader {
    /// Fills a part of a buffer; 0 at the end.
    public typealias Input = (UnsafeMutableRawBufferPointer) throws -> Int

    private let input: Input
    /// Bytes that were read.
    public private(set) var offset: UInt64 = 0
    private let extent = UnsafeMutableRawBufferPointer.allocate(
        byteCount: VMAFormat.largestExtent, alignment: 4096)
    private let cluster = UnsafeMutableRawBufferPointer.allocate(
        byteCount: VMAFormat.cluster, alignment: 4096)
    private var devices: [VMAHeader.Device?] = Array(repeating: nil, count: VMAFormat.tableEntries)
    private var seen: [ClusterSet] = []

    public init(input: @escaping Input) { self.input = input }

    /// - Parameter descriptor: Open for reading; stays open.
    public convenience init(descriptor: Int32) {
        self.init { buffer in
            while true {
                let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                if count >= 0 { return count }
                if dr_errno() != EINTR {
                    throw SystemError.last("read", "").failure(side: .source)
                }
            }
        }
    }

    deinit {
        extent.deallocate()
        cluster.deallocate()
    }

    /// Reads the header.
    ///
    /// - Throws: ``VMAError``; what the input throws.
    public func header() throws -> VMAHeader {
        let fixed = UnsafeMutableRawBufferPointer(rebasing: extent[..<VMAFormat.fixedHeader])
        guard try fill(fixed) == fixed.count else {
            if offset == 0 { throw VMAError("it is empty", at: 0) }
            throw VMAError("it ends within its header", at: offset)
        }
        let length = try VMAHeader.length(of: UnsafeRawBufferPointer(fixed))
        let whole = UnsafeMutableRawBufferPointer.allocate(byteCount: length, alignment: 16)
        defer { whole.deallocate() }
        whole.copyMemory(from: UnsafeRawBufferPointer(fixed))
        let rest = UnsafeMutableRawBufferPointer(rebasing: whole[VMAFormat.fixedHeader...])
        guard try fill(rest) == rest.count else {
            throw VMAError("it ends within its header", at: offset)
        }
        let header = try VMAHeader(parsing: UnsafeRawBufferPointer(whole))
        seen = Array(repeating: ClusterSet(), count: VMAFormat.tableEntries)
        for device in header.devices { devices[device.number] = device }
        return header
    }

    /// Reads all extents to the end of the archive.
    ///
    /// - Throws: ``VMAError``; what the input and `receiver` throw.
    public func clusters(of header: VMAHeader, into receiver: any VMAClusterReceiver) throws {
        while try readExtent(header) { try unpack(receiver) }
        for device in header.devices {
            let count = VMAFormat.clusters(of: device.length)
            guard seen[device.number].count < count else { continue }
            let missing = seen[device.number].firstAbsent
            throw VMAError(
                "it ends without cluster \(missing) of \(device.name), "
                    + "\(count - seen[device.number].count) of \(count) are missing", at: offset)
        }
    }

    private func fill(_ buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var filled = 0
        while filled < buffer.count {
            let count = try input(UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
            if count == 0 { break }
            filled += count
        }
        offset += UInt64(filled)
        return filled
    }

    /// Offset of the extent in `extent`.
    private var extentOffset: UInt64 = 0

    /// Reads one extent and checks its header; false at the end.
    private func readExtent(_ header: VMAHeader) throws -> Bool {
        extentOffset = offset
        let head = UnsafeMutableRawBufferPointer(rebasing: extent[..<VMAFormat.extentHeader])
        let count = try fill(head)
        if count == 0 { return false }
        guard count == head.count else {
            throw VMAError("only \(count) bytes of an extent's header are there", at: extentOffset)
        }
        let bytes = UnsafeRawBufferPointer(head)
        guard VMAFormat.sum(bytes, sumAt: 24).elementsEqual(bytes[24..<40]) else {
            let isPadding = isAllZeros(bytes)
            throw VMAError(
                isPadding ? "zeros follow its end" : "an extent's checksum is wrong",
                at: extentOffset)
        }
        guard bytes[8..<24].elementsEqual(header.uuid) else {
            throw VMAError("an extent belongs to another archive", at: extentOffset + 8)
        }
        guard bytes[..<4].elementsEqual(VMAFormat.extentMagic), bytes[4] == 0, bytes[5] == 0
        else { throw VMAError("an extent does not begin as one does", at: extentOffset) }
        let blocks = Int(bytes.bigEndian(at: 6, as: UInt16.self))
        guard blocks <= VMAFormat.slots * 16 else {
            throw VMAError("no extent has \(blocks) blocks", at: extentOffset + 6)
        }
        let length = blocks * VMAFormat.block
        let data = UnsafeMutableRawBufferPointer(
            rebasing: extent[VMAFormat.extentHeader..<(VMAFormat.extentHeader + length)])
        let there = try fill(data)
        guard there == length else {
            throw VMAError(
                "an extent has \(there) bytes of data instead of \(length)", at: extentOffset)
        }
        extentBlocks = blocks
        return true
    }

    private var extentBlocks = 0

    private func unpack(_ receiver: any VMAClusterReceiver) throws {
        let bytes = UnsafeRawBufferPointer(extent)
        var next = 0
        for slot in 0..<VMAFormat.slots {
            let place = 40 + 8 * slot
            let word = bytes.bigEndian(at: place, as: UInt64.self)
            let number = Int(word >> 32 & 255)
            // An empty slot.
            if number == 0 { continue }
            let at = extentOffset + UInt64(place)
            guard let device = devices[number] else {
                throw VMAError("there is no disk number \(number)", at: at)
            }
            guard word >> 40 & 255 == 0 else {
                throw VMAError("a cluster's reserved byte is not zero", at: at)
            }
            let index = word & 0xFFFF_FFFF
            guard index < VMAFormat.clusters(of: device.length) else {
                throw VMAError("cluster \(index) lies behind the end of \(device.name)", at: at)
            }
            guard seen[number].insert(index) else {
                throw VMAError("cluster \(index) of \(device.name) comes twice", at: at)
            }
            let mask = UInt16(truncatingIfNeeded: word >> 48)
            if mask == 0 { continue }
            let stored = mask.nonzeroBitCount
            guard next + stored <= extentBlocks else {
                throw VMAError("an extent names more blocks than it has", at: at)
            }
            let length = VMAFormat.length(of: index, in: device.length)
            let blocks = (length + VMAFormat.block - 1) / VMAFormat.block
            guard 16 - mask.leadingZeroBitCount <= blocks else {
                throw VMAError(
                    "a block of cluster \(index) lies behind the end of \(device.name)", at: at)
            }
            let start = VMAFormat.extentHeader + next * VMAFormat.block
            next += stored
            if mask == .max {
                try receiver.receive(
                    device, cluster: index,
                    UnsafeRawBufferPointer(rebasing: bytes[start..<(start + length)]))
            } else {
                assemble(mask, from: start)
                try receiver.receive(
                    device, cluster: index,
                    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(cluster)[..<length]))
            }
        }
        guard next == extentBlocks else {
            throw VMAError(
                "an extent has \(extentBlocks) blocks and names \(next)", at: extentOffset + 6)
        }
    }

    /// Puts a cluster together of the blocks that were stored, zeros between them.
    private func assemble(_ mask: UInt16, from start: Int) {
        guard let target = cluster.baseAddress, let source = extent.baseAddress else { return }
        var from = source + start
        for block in 0..<16 {
            let to = target + block * VMAFormat.block
            if mask >> block & 1 == 1 {
                memcpy(to, from, VMAFormat.block)
                from += VMAFormat.block
            } else {
                memset(to, 0, VMAFormat.block)
            }
        }
    }
}

/// Which clusters of a disk were seen: a bit each, kept only where any was.
struct ClusterSet {
    private static let pageBits: UInt64 = 1 << 15
    private var pages: [UInt64: [UInt64]] = [:]
    private(set) var count: UInt64 = 0
    private var current: UInt64 = .max
    private var page: [UInt64] = []

    /// - Returns: Whether it was absent.
    mutating func insert(_ number: UInt64) -> Bool {
        let wanted = number / Self.pageBits
        if wanted != current {
            if current != .max { pages[current] = page }
            page =
                pages.removeValue(forKey: wanted)
                ?? Array(repeating: 0, count: Int(Self.pageBits / 64))
            current = wanted
        }
        let (word, bit) = (Int(number % Self.pageBits / 64), UInt64(1) << (number % 64))
        if page[word] & bit != 0 { return false }
        page[word] |= bit
        count += 1
        return true
    }

    /// The lowest number that was never inserted.
    var firstAbsent: UInt64 {
        var number: UInt64 = 0
        while let bits = number / Self.pageBits == current ? page : pages[number / Self.pageBits] {
            if let word = bits.firstIndex(where: { $0 != .max }) {
                return number + UInt64(word * 64 + (~bits[word]).trailingZeroBitCount)
            }
            number += Self.pageBits
        }
        return number
    }
}
