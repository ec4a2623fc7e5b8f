import CLinux
import Engine
import Glibc
public import Model
import Repository
import Synchronization
import Workloads

/// Compares a random sample of what a drill brought back with the repository, byte for byte, before
/// any program has touched it.
///
/// The repository is read a second time for it: what the restore wrote is not taken on trust.
public final class SampleComparison: Sendable {
    /// Repeats the same choice for the same data.
    public let seed: UInt64
    /// The most files of one tree.
    private let filesATree: Int
    private let results = Mutex<[SampleResult]>([])

    public init(seed: UInt64, filesATree: Int) {
        self.seed = seed
        self.filesATree = filesATree
    }

    /// What was compared, in the order in which it was.
    public var compared: [SampleResult] { results.withLock { $0 } }

    /// Compares parts of a snapshot with the places where a step has put them.
    ///
    /// - Throws: `Failure` with code `verificationFailed` that names the first difference.
    func compare(
        _ places: [RestoredPlace], with source: any ReplaySource, step: String
    ) async throws {
        guard filesATree > 0, let source = source as? RepositoryReplaySource else { return }
        for place in places {
            guard let part = source.snapshot.part(place.part) else { continue }
            let result = try await source.compare(
                part, at: place.path, step: step, files: filesATree, seed: seed)
            results.withLock { $0.append(result) }
            guard let first = result.differences.first else { continue }
            throw Failure(
                .verificationFailed,
                "\(result.differences.count) of \(result.files) files compared with the repository "
                    + "differ: \(first)", side: .target)
        }
    }
}

/// Chooses entries as a seed says: those whose names, hashed with it, come first. The same seed and
/// tree give the same choice, in whatever order the tree is read.
private struct SampleChoice {
    private let seed: [UInt8]
    private let limit: Int
    private(set) var chosen: [(key: UInt64, entry: TreeEntry)] = []

    init(seed: UInt64, salt: String, limit: Int) {
        self.seed = Array("\(seed) \(salt)".utf8)
        self.limit = limit
    }

    mutating func offer(_ entry: TreeEntry) {
        // FNV-1a; the seed comes last and stirs what the name has left.
        let key = (entry.path + seed).reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3
        }
        if chosen.count == limit, let last = chosen.last, last.key <= key { return }
        let place = chosen.firstIndex { $0.key > key } ?? chosen.count
        chosen.insert((key, entry), at: place)
        if chosen.count > limit { chosen.removeLast() }
    }
}

extension RepositoryReplaySource {
    fileprivate func compare(
        _ part: SnapshotPart, at path: String, step: String, files: Int, seed: UInt64
    ) async throws -> SampleResult {
        try await blocking { source, check in
            var result = SampleResult(step: step, part: part.name)
            let reader = source.reader(32 << 20)
            guard part.kind == .tree else {
                try result.compare(part.content, reader, Array(path.utf8), check)
                return result
            }
            var choice = SampleChoice(
                seed: seed, salt: "\(source.snapshot.workload) \(part.name)", limit: files)
            var seen = 0
            let cursor = try TreeCursor(part.content, reader: reader)
            while let entry = try cursor.next() {
                try check()
                guard entry.type == .file, !entry.isTorn else { continue }
                seen += 1
                choice.offer(entry)
            }
            result.filesInAll = seen
            for (_, entry) in choice.chosen {
                let name = Array(path.utf8) + (entry.path.isEmpty ? [] : [47] + entry.path)
                try result.compare(entry.content, reader, name, check, entry: entry)
            }
            return result
        }
    }
}

extension SampleResult {
    /// Reads a file and what the repository has of it side by side.
    fileprivate mutating func compare(
        _ content: ContentReference, _ reader: ChunkReader, _ path: [UInt8],
        _ check: () throws -> Void, entry: TreeEntry? = nil
    ) throws {
        files += 1
        let shown = printable(path)
        let descriptor = (path + [0]).withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { name in
                name.baseAddress.map {
                    dr_openat(AT_FDCWD, $0, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0)
                } ?? -1
            }
        }
        guard descriptor >= 0 else {
            differences.append("\(shown) cannot be opened")
            return
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return differences.append("\(shown): stat") }
        if let entry, let problem = Self.metadata(status, entry) {
            differences.append("\(shown): \(problem)")
            return
        }
        guard UInt64(status.st_size) == content.length else {
            differences.append("\(shown) has \(status.st_size) bytes, not \(content.length)")
            return
        }
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        var offset: UInt64 = 0
        var isEqual = true
        try reader.stream(content) { expected, length in
            try check()
            var done: UInt64 = 0
            while isEqual, done < length {
                let wanted = Int(min(length - done, UInt64(buffer.count)))
                let count = buffer.withUnsafeMutableBytes {
                    pread(descriptor, $0.baseAddress, wanted, off_t(offset + done))
                }
                guard count > 0 else {
                    isEqual = false
                    return
                }
                isEqual = buffer.withUnsafeBytes { read in
                    guard let expected, let base = expected.baseAddress, let own = read.baseAddress
                    else { return read.prefix(count).allSatisfy { $0 == 0 } }
                    return memcmp(base + Int(done), own, count) == 0
                }
                done += UInt64(count)
            }
            offset += length
        }
        bytes += ByteCount(content.length)
        if !isEqual { differences.append("\(shown) has other bytes") }
    }

    private static func metadata(_ status: stat, _ entry: TreeEntry) -> String? {
        if UInt32(status.st_mode) & 0o7777 != entry.mode & 0o7777 { return "another mode" }
        let modified = Timestamp(
            seconds: Int(status.st_mtim.tv_sec), nanoseconds: status.st_mtim.tv_nsec)
        if modified != entry.modified { return "another time of modification" }
        guard geteuid() == 0 else { return nil }
        let isOwners = status.st_uid == entry.userID && status.st_gid == entry.groupID
        return isOwners ? nil : "another owner"
    }
}
