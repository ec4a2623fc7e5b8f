import Crypto

/// Sizes and limits of Proxmox's VMA archives, in bytes unless named otherwise.
///
/// An archive is a header (12288 bytes and an area of blobs) and extents until its end. Each extent
/// says for up to 59 clusters of which disk they are and which of their blocks follow.
enum VMAFormat {
    static let block = 4096
    static let cluster = 65536
    static let extentHeader = 512
    /// Clusters that one extent may name.
    static let slots = 59
    /// Clusters that an extent written by QEMU names; the last slot stays empty.
    static let writtenSlots = 58
    static let largestExtent = extentHeader + slots * cluster
    static let fixedHeader = 12288
    /// Configurations, and one more than the highest number of a disk.
    static let tableEntries = 256
    static let configurationNames = 2044
    static let configurationData = 3068
    static let deviceTable = 4096
    static let deviceEntry = 32
    /// What a header may have at most: the writer's own limit is 512 KiB, the format has none.
    static let largestHeader = 16 << 20
    static let largestBlob = 65535
    static let devices = 1...254
    /// Clusters are counted in 32 bits.
    static let largestDevice = UInt64(cluster) << 32
    static let magic: [UInt8] = [0x56, 0x4D, 0x41, 0]
    static let extentMagic: [UInt8] = [0x56, 0x4D, 0x41, 0x45]

    /// How many clusters a disk has; the last one may be partial.
    static func clusters(of length: UInt64) -> UInt64 {
        (length + UInt64(cluster) - 1) / UInt64(cluster)
    }

    /// How many bytes of a disk lie in one of its clusters.
    static func length(of cluster: UInt64, in length: UInt64) -> Int {
        Int(min(UInt64(Self.cluster), length - cluster * UInt64(Self.cluster)))
    }

    /// The sum that stands in headers at `place`, taken with that place zeroed.
    static func sum(_ header: UnsafeRawBufferPointer, sumAt place: Int) -> [UInt8] {
        var hash = Insecure.MD5()
        hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: header[..<place]))
        hash.update(data: [UInt8](repeating: 0, count: 16))
        hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: header[(place + 16)...]))
        return Array(hash.finalize())
    }
}

/// What is wrong with a VMA archive, and where.
public struct VMAError: Error, Sendable, Hashable, CustomStringConvertible {
    public var reason: String
    /// Bytes from the archive's beginning.
    public var offset: UInt64

    init(_ reason: String, at offset: UInt64) {
        self.reason = reason
        self.offset = offset
    }

    public var description: String { "the VMA export is damaged at byte \(offset): \(reason)" }
}
