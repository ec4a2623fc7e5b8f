import Crypto
import Engine
import Model

/// Rebuilds the archive of a virtual machine from a snapshot, for `qmrestore`.
///
/// The same disks and configuration give the same archive: its identity and time are taken from
/// their content.
struct VMARebuild: Sendable {
    let source: any ReplaySource
    let guest: SnapshotGuest
    /// The drill that it is a copy for; nil for a restore.
    let isolation: DrillIsolation?

    /// Writes the archive to `descriptor`, its header at once.
    ///
    /// - Returns: The number of bytes of the disks.
    func write(to descriptor: Int32) async throws -> UInt64 {
        let parts = guest.disks(in: source.snapshot)
        var configurations: [VMAHeader.Configuration] = []
        for name in [VMACapture.configurationName, VMACapture.firewallName]
        where source.snapshot.part(guest.prefix + name) != nil {
            var data = try await source.document(guest.prefix + name)
            if let isolation, name == VMACapture.configurationName {
                data = isolation.configuration(data)
            }
            configurations.append(VMAHeader.Configuration(name: name, data: data))
        }
        let devices = try parts.enumerated().map { number, part in
            guard let device = part.attributes["device"],
                part.content.length == part.bytes.bytes
            else {
                throw Failure(
                    .damaged, "the snapshot does not say what disk \(part.name) is",
                    side: .repository)
            }
            return VMAHeader.Device(number: number + 1, name: device, length: part.bytes.bytes)
        }
        let identity = Self.identity(configurations, parts)
        let header = VMAHeader(
            uuid: Array(identity.prefix(16)), created: Self.time(identity),
            configurations: configurations, devices: devices)
        let feed = try await BlockingPool.shared.run { try VMAFeed(header, to: descriptor) }
        var total: UInt64 = 0
        for part in parts { total += try await source.read(part.name, into: feed) }
        try await BlockingPool.shared.run { try feed.finish() }
        return total
    }

    private static func identity(
        _ configurations: [VMAHeader.Configuration], _ disks: [SnapshotPart]
    ) -> [UInt8] {
        var hash = SHA256()
        func add(_ bytes: [UInt8]) {
            withUnsafeBytes(of: UInt64(bytes.count).bigEndian) { hash.update(bufferPointer: $0) }
            hash.update(data: bytes)
        }
        for configuration in configurations {
            add(Array(configuration.name.utf8))
            add(configuration.data)
        }
        for disk in disks {
            add(Array(disk.name.utf8))
            for reference in disk.content.references {
                add(reference.id.bytes)
                withUnsafeBytes(of: reference.length.bigEndian) { hash.update(bufferPointer: $0) }
            }
        }
        return Array(hash.finalize())
    }

    /// Some second between 2000 and 2034: the time of a rebuilt archive means nothing.
    private static func time(_ identity: [UInt8]) -> Int64 {
        let number = identity[16..<20].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return 946_684_800 + Int64(number & 0x3FFF_FFFF)
    }
}

/// Carries the pieces of disks to a writer.
///
/// Proof of the unchecked conformance: the one who owns it hands it from call to call and waits for
/// each, as ``PieceReceiver`` asks; nothing touches the writer from two threads at once.
private final class VMAFeed: PieceReceiver, @unchecked Sendable {
    private let writer: VMAWriter

    init(_ header: VMAHeader, to descriptor: Int32) throws {
        writer = try VMAWriter(header) { bytes in
            do {
                try withoutBrokenPipeSignal {
                    try FileSystem().write(bytes, to: descriptor, path: "pipe")
                }
            } catch let error as SystemError { throw error.failure(side: .target) }
        }
    }

    func receive(_ bytes: UnsafeRawBufferPointer) throws { try writer.append(bytes) }
    func receiveZeros(_ count: UInt64) throws { try writer.appendZeros(count) }
    func finish() throws { try writer.finish() }
}
