import Engine
import Model
import Synchronization

/// Takes a VMA stream apart into the parts of a snapshot.
final class VMACapture: DiskStreamReader {
    /// What the names of its parts begin with, for example `vm-101/`.
    private let prefix: String
    private let found = Mutex<VMAHeader?>(nil)

    init(prefix: String) { self.prefix = prefix }

    static let configurationName = "qemu-server.conf"
    static let firewallName = "qemu-server.fw"

    /// The part that a disk becomes.
    static func part(_ device: String) -> String { "disk-\(device).raw" }

    /// The header of the archive, once it was read.
    var header: VMAHeader? { found.withLock { $0 } }

    func read(_ descriptor: Int32, into receiver: any DiskReceiver) throws {
        let reader = VMAReader(descriptor: descriptor)
        do {
            let header = try reader.header()
            try Self.check(header)
            let target = Disks(receiver)
            for device in header.devices {
                target.numbers[device.number] = try receiver.begin(
                    prefix + Self.part(device.name), length: device.length,
                    attributes: ["device": device.name])
            }
            try reader.clusters(of: header, into: target)
            found.withLock { $0 = header }
        } catch let error as VMAError {
            throw error.failure
        }
    }

    /// The configuration must be there, and say of every disk what it belongs to.
    private static func check(_ header: VMAHeader) throws {
        guard let bytes = header.configuration(configurationName) else {
            throw Failure(
                .failed, "the VMA export holds no \(configurationName)", side: .source)
        }
        let named = Set(GuestConfiguration(bytes).dumped.map(\.device))
        let there = Set(header.devices.map(\.name))
        if let missing = named.subtracting(there).min() {
            throw Failure(
                .failed, "the VMA export lacks the disk \(missing), which its configuration names",
                side: .source)
        }
        if let unknown = there.subtracting(named).min() {
            throw Failure(
                .failed, "the configuration in the VMA export does not say what \(unknown) is",
                side: .source)
        }
    }

    private final class Disks: VMAClusterReceiver {
        let receiver: any DiskReceiver
        /// By the numbers of the archive.
        var numbers = [Int](repeating: 0, count: 256)

        init(_ receiver: any DiskReceiver) { self.receiver = receiver }

        func receive(
            _ device: VMAHeader.Device, cluster: UInt64, _ bytes: UnsafeRawBufferPointer
        ) throws {
            try receiver.put(numbers[device.number], block: cluster, bytes)
        }
    }
}

extension VMAError {
    /// As a person sees it.
    var failure: Failure {
        Failure(
            .failed, description, hint: "nothing of it was kept; dump the guest again",
            side: .source)
    }
}
