import Engine
import Model
import Repository
import Workloads

/// Disks whose blocks come mixed and in any order, on their way into the repository.
final class ArrivingDisks: DiskReceiver {
    /// Bytes of progress that are told at once.
    private static let step: UInt64 = 4 << 20

    private let writer: DiskBlockWriter
    private let cancelled: () throws -> Void
    private let advance: (ByteCount) -> Void
    private var disks: [(name: String, length: UInt64, attributes: [String: String])] = []
    private var untold: UInt64 = 0

    init(
        session: WriteSession, cancelled: @escaping () throws -> Void,
        advance: @escaping (ByteCount) -> Void
    ) {
        writer = DiskBlockWriter(session: session)
        self.cancelled = cancelled
        self.advance = advance
    }

    func begin(_ name: String, length: UInt64, attributes: [String: String]) throws -> Int {
        disks.append((name, length, attributes))
        return try located { try writer.begin(length: length) }
    }

    func put(_ disk: Int, block: UInt64, _ bytes: UnsafeRawBufferPointer) throws {
        try cancelled()
        try located { try writer.put(disk, block: block, bytes) }
        untold += UInt64(bytes.count)
        if untold >= Self.step { tell() }
    }

    /// The parts, what was read for each and what of it was new.
    func finish() throws -> [(part: SnapshotPart, read: UInt64, new: UInt64)] {
        tell()
        let contents = try located { try writer.finish() }
        return zip(disks, contents).enumerated().map { number, pair in
            let (disk, stored) = pair
            var attributes = disk.attributes
            attributes["data"] = "\(stored.data)"
            let part = SnapshotPart(
                name: disk.name, kind: .disk, content: stored.content,
                bytes: ByteCount(disk.length), attributes: attributes)
            // What is new is only known of all disks together.
            return (part, disk.length, number == 0 ? writer.newBytes : 0)
        }
    }

    private func tell() {
        advance(ByteCount(untold))
        untold = 0
    }

    /// Scratch files are this machine's.
    private func located<Value>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch let error as SystemError {
            throw error.failure(side: .local)
        }
    }
}
