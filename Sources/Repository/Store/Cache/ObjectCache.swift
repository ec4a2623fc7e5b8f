import CLinux
import Crypto
public import Engine
import FoundationEssentials
import Glibc
public import Model
import Synchronization

/// Parts of objects that are far away, kept as they were stored: sealed.
///
/// Files of one directory, each with the hash of its name and its bytes: what a crash, a full disk or
/// a bad one left half there or wrong counts as absent. Any number of processes may share a directory;
/// they know nothing of each other and wait for nobody. What was used longest ago goes first. Losing
/// any or all of it costs a journey, and nothing else.
public final class ObjectCache: Sendable {
    /// The directory; made when the first thing is kept.
    public let directory: String
    /// Most bytes on disk. Of several processes at once each may take an eighth of it more.
    public let limit: ByteCount
    private let files: FileSystem
    private let pool: BlockingPool
    private let usage = Mutex(Usage())

    private struct Usage {
        /// Bytes that were there when somebody last looked; nil for never.
        var counted: UInt64?
        /// Bytes that this process has added since.
        var added: UInt64 = 0
    }

    private struct Entry {
        var path: String
        var size: UInt64
        var used: Timestamp
    }

    private static let hashLength = 32
    /// What a file takes on disk at least.
    private static let block: UInt64 = 4096
    /// A cache must never be what fills a disk.
    private static let spared: UInt64 = 256 << 20
    /// Half-written files of this age have no writer any more.
    private static let patience = TimeSpan(seconds: 3600)

    public init(
        in directory: String, limit: ByteCount, files: FileSystem = FileSystem(),
        pool: BlockingPool = .shared
    ) {
        self.directory = directory
        self.limit = limit
        self.files = files
        self.pool = pool
    }

    // MARK: Names

    /// A folder of 256, and what all files of an object begin with.
    private static func place(of key: ObjectKey) -> (folder: String, prefix: String) {
        let name = Hexadecimal.encode(SHA256.hash(data: Data(key.path.utf8)).prefix(20))
        return (String(name.prefix(2)), "\(name).")
    }

    private static func suffix(_ range: ObjectRange) -> String {
        switch range {
        case .whole: "whole"
        case .bytes(let offset, let length): "\(offset)-\(length)"
        case .suffix(let length): "end-\(length)"
        }
    }

    /// Of the name too, so that no file can stand in for another.
    private static func hash(_ name: String, _ bytes: some DataProtocol) -> SHA256.Digest {
        var hasher = SHA256()
        hasher.update(data: Data(name.utf8))
        hasher.update(data: bytes)
        return hasher.finalize()
    }

    // MARK: Using it

    /// What is kept of an object; nil when nothing is, or it is not what was kept.
    func read(_ key: ObjectKey, _ range: ObjectRange) async -> Data? {
        try? await pool.run { [self] () -> Data? in
            let place = Self.place(of: key)
            let name = place.prefix + Self.suffix(range)
            let path = "\(directory)/\(place.folder)/\(name)"
            guard let whole = try? files.read(path) else { return nil }
            let bytes = whole.dropFirst(Self.hashLength)
            guard whole.count >= Self.hashLength,
                Self.hash(name, bytes).elementsEqual(whole.prefix(Self.hashLength))
            else {
                try? files.unlink(path)
                return nil
            }
            _ = utimensat(AT_FDCWD, path, nil, 0)
            return Data(bytes)
        }
    }

    /// Keeps part of an object, where there is room; what goes wrong is no error.
    func keep(_ key: ObjectKey, _ range: ObjectRange, _ bytes: Data) async {
        try? await pool.run { [self] () throws -> Void in
            let place = Self.place(of: key)
            let name = place.prefix + Self.suffix(range)
            let folder = "\(directory)/\(place.folder)"
            let size = Self.onDisk(UInt64(Self.hashLength + bytes.count))
            // One thing must not push out everything else.
            guard size <= limit.bytes / 8 else { return }
            if !files.isDirectory(folder) {
                try files.makeDirectories(directory)
                try files.makeDirectory(folder)
            }
            guard try files.freeBytes(at: directory) > Self.spared + size else { return }
            usage.withLock { makeRoom(for: size, &$0) }
            let whole = Array(Self.hash(name, bytes)) + bytes
            try write(whole, to: "\(folder)/\(name)")
        }
    }

    /// Forgets all that is kept of an object.
    func drop(_ key: ObjectKey) async {
        try? await pool.run { [self] () throws -> Void in
            let place = Self.place(of: key)
            let folder = "\(directory)/\(place.folder)"
            for name in try files.names(in: folder) where name.hasPrefix(place.prefix) {
                try files.unlink("\(folder)/\(name)")
            }
        }
    }

    /// Nothing is synced: a file that a power cut leaves with other bytes has another hash.
    private func write(_ bytes: [UInt8], to path: String) throws(SystemError) {
        let temporary = "\(path).\(String(UInt32.random(in: 0 ... .max), radix: 16)).tmp"
        do throws(SystemError) {
            let descriptor = try files.open(temporary, flags: O_WRONLY | O_CREAT | O_EXCL)
            let written: Result<Void, SystemError> = bytes.withUnsafeBytes { buffer in
                do throws(SystemError) {
                    return .success(try files.write(buffer, to: descriptor, path: temporary))
                } catch { return .failure(error) }
            }
            try files.close(descriptor, path: temporary)
            try written.get()
            try files.rename(temporary, to: path)
        } catch {
            _ = Glibc.unlink(temporary)
            throw error
        }
    }

    // MARK: The bound

    private static func onDisk(_ size: UInt64) -> UInt64 { (size + block - 1) / block * block }

    /// Sees to it that so many bytes more stay below the limit.
    ///
    /// What others add is not noticed until it is counted again, after an eighth of the limit.
    private func makeRoom(for size: UInt64, _ usage: inout Usage) {
        if let counted = usage.counted, counted + usage.added + size <= limit.bytes,
            usage.added + size <= limit.bytes / 8
        {
            usage.added += size
            return
        }
        var entries = entries()
        var total = entries.reduce(0) { $0 + $1.size }
        if total + size > limit.bytes {
            // Some more at once, so that it does not have to be done for each.
            entries.sort { $0.used < $1.used }
            for entry in entries where total + size > limit.bytes / 4 * 3 {
                try? files.unlink(entry.path)
                total -= entry.size
            }
        }
        usage.counted = total
        usage.added = size
    }

    /// Everything that is there; what dead writers left half written is removed.
    private func entries() -> [Entry] {
        let limit = SystemTimepiece().wall + TimeSpan(nanoseconds: -Self.patience.nanoseconds)
        var entries: [Entry] = []
        for folder in (try? files.names(in: directory)) ?? [] {
            for name in (try? files.names(in: "\(directory)/\(folder)")) ?? [] {
                let path = "\(directory)/\(folder)/\(name)"
                var status = stat()
                guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
                    continue
                }
                let used = Timestamp(
                    seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
                if name.hasSuffix(".tmp"), used < limit {
                    try? files.unlink(path)
                    continue
                }
                entries.append(
                    Entry(path: path, size: Self.onDisk(UInt64(status.st_size)), used: used))
            }
        }
        return entries
    }
}
