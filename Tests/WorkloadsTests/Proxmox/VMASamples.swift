import Crypto
import Engine
import Glibc
import Model
import TestSupport
import Workloads

/// Archives that Proxmox's own tool made, and edits of them.
enum VMASamples {
    static let directory = Checkout.path("Tests/Fixtures/proxmox")

    /// A sample as it was before it was compressed.
    static func load(_ name: String) async throws -> [UInt8] {
        try await TemporaryDirectory.with("vma") { scratch in
            let path = scratch.path("archive")
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            defer { close(descriptor) }
            try await BlockingPool.shared.run {
                try DecompressedInput.copy("\(directory)/\(name)", to: descriptor) {}
            }
            return try FileSystem().read(path)
        }
    }

    /// SHA-256 by name, of what the real tool extracts of one archive.
    static func sums(of archive: String) throws -> [String: String] {
        let text = String(
            decoding: try FileSystem().read("\(directory)/SHA256SUMS"), as: UTF8.self)
        var sums: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ").map(String.init)
            guard fields[1].hasPrefix("\(archive)/") else { continue }
            sums[String(fields[1].dropFirst(archive.count + 1))] = fields[0]
        }
        return sums
    }
}

/// Disks that are put together in memory as their clusters come.
final class MemoryDisks: VMAClusterReceiver {
    private(set) var header: VMAHeader?
    private(set) var disks: [String: [UInt8]] = [:]

    /// Reads an archive to its end.
    ///
    /// - Parameter slice: The most that one read gives, in bytes.
    static func read(_ archive: [UInt8], slice: @escaping () -> Int = { 1 << 20 }) throws
        -> MemoryDisks
    {
        let memory = MemoryDisks()
        try archive.withUnsafeBytes { bytes in
            var position = 0
            let reader = VMAReader { buffer in
                let count = min(buffer.count, bytes.count - position, slice())
                buffer.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: bytes[position..<(position + count)]))
                position += count
                return count
            }
            let header = try reader.header()
            for device in header.devices where device.length < 1 << 30 {
                memory.disks[device.name] = [UInt8](repeating: 0, count: Int(device.length))
            }
            try reader.clusters(of: header, into: memory)
            memory.header = header
        }
        return memory
    }

    func receive(
        _ device: VMAHeader.Device, cluster: UInt64, _ bytes: UnsafeRawBufferPointer
    ) throws {
        disks[device.name]?.withUnsafeMutableBytes {
            UnsafeMutableRawBufferPointer(rebasing: $0[(Int(cluster) << 16)...])
                .copyMemory(from: bytes)
        }
    }

    /// SHA-256 of everything, under the names that the real tool gives.
    var sums: [String: String] {
        var sums: [String: String] = [:]
        for configuration in header?.configurations ?? [] {
            sums[configuration.name] = Self.sum(configuration.data)
        }
        for (name, bytes) in disks { sums["disk-\(name).raw"] = Self.sum(bytes) }
        return sums
    }

    /// A new archive of the same disks.
    func rewritten() throws -> [UInt8] {
        guard var header else { throw Failure(.failed, "nothing was read") }
        header.uuid = Array("0123456789abcdef".utf8)
        header.created = 1_000_000_000
        header.devices.sort { $0.name < $1.name }
        for index in header.devices.indices { header.devices[index].number = index + 1 }
        var archive: [UInt8] = []
        let writer = try VMAWriter(header) { archive += $0 }
        for device in header.devices {
            try disks[device.name]?.withUnsafeBytes { try writer.append($0) }
        }
        try writer.finish()
        return archive
    }

    private static func sum(_ bytes: [UInt8]) -> String {
        Hexadecimal.encode(Array(SHA256.hash(data: bytes)))
    }
}
