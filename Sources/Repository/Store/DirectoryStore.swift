import CLinux
public import Engine
public import FoundationEssentials
import Glibc
public import Model
import Synchronization

/// Objects as files below one directory.
///
/// A file appears under its name only when it is whole and synced, and the directory is synced
/// before `put` returns. Temporary files that a crash leaves end in `.tmp`; listings pass over them
/// and ``sweep(olderThan:)`` removes them.
public final class DirectoryStore: ObjectStore {
    /// The directory, as given.
    public let root: String
    let files: FileSystem
    private let pool: BlockingPool
    /// Directories known to exist, so that each is made and synced once.
    private let made = Mutex<Set<String>>([])

    /// - Parameters:
    ///   - root: The directory; need not exist before the first `put`.
    ///   - files: The write layer; tests make calls of it fail.
    public init(root: String, files: FileSystem = FileSystem(), pool: BlockingPool = .shared) {
        self.root = root
        self.files = files
        self.pool = pool
    }

    public var place: String { root }
    public var keepsReserve: Bool { true }

    func path(_ key: ObjectKey) -> String { root + "/" + key.path }

    /// Runs `body` off the cooperative pool; errors of the system become ``Failure``.
    func blocking<Value: Sendable>(
        _ body: @escaping @Sendable (DirectoryStore) throws -> Value
    ) async throws -> Value {
        try await pool.run { [self] in
            do {
                return try body(self)
            } catch let error as SystemError {
                throw error.failure(side: .repository)
            }
        }
    }

    public func put(_ key: ObjectKey, _ parts: [Data]) async throws {
        try await blocking { store in
            try store.makeDirectory(of: key)
            try store.write(key, parts[...], before: [])
        }
    }

    /// Unwraps the parts one by one, so that none is copied.
    private func write(
        _ key: ObjectKey, _ rest: ArraySlice<Data>, before: [UnsafeRawBufferPointer]
    ) throws {
        if let first = rest.first {
            try first.withUnsafeBytes { try write(key, rest.dropFirst(), before: before + [$0]) }
        } else {
            try files.writeDurably(before, to: path(key))
        }
    }

    func makeDirectory(of key: ObjectKey) throws {
        let components = key.path.split(separator: "/").dropLast()
        var directory = root
        for component in [""] + components {
            let parent = directory
            if !component.isEmpty { directory += "/" + component }
            let current = directory
            if made.withLock({ $0.contains(current) }) { continue }
            if component.isEmpty {
                if !files.isDirectory(current) { try files.makeDirectories(current) }
            } else {
                if !files.isDirectory(current) { try files.makeDirectory(current) }
                // An empty one may just have been made by somebody who has not synced it yet.
                if try files.names(in: current).isEmpty { try files.synchronizeDirectory(parent) }
            }
            made.withLock { _ = $0.insert(current) }
        }
    }

    public func get(_ key: ObjectKey, _ range: ObjectRange) async throws -> Data {
        try await blocking { store in
            let path = store.path(key)
            let descriptor: Int32
            do throws(SystemError) {
                descriptor = try store.files.open(path, flags: O_RDONLY)
            } catch {
                if error.number == ENOENT || error.number == ENOTDIR { throw ObjectMissing(key) }
                throw error
            }
            defer { _ = Glibc.close(descriptor) }
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { throw SystemError.last("fstat", path) }
            // A folder of objects is no object.
            guard status.st_mode & S_IFMT == S_IFREG else { throw ObjectMissing(key) }
            let size = UInt64(status.st_size)
            let (offset, length): (UInt64, Int) =
                switch range {
                case .whole: (0, Int(size))
                case .bytes(let offset, let length):
                    (min(offset, size), min(length, Int(size - min(offset, size))))
                case .suffix(let length):
                    (size - min(size, UInt64(length)), min(Int(size), length))
                }
            guard length > 0 else { return Data() }
            guard let memory = malloc(length) else {
                throw SystemError("malloc", path: path, number: ENOMEM)
            }
            do throws(SystemError) {
                let count = try store.files.read(
                    into: UnsafeMutableRawBufferPointer(start: memory, count: length),
                    from: descriptor, at: offset, path: path)
                // Only now: a few bytes are copied and the memory is freed at once.
                return Data(bytesNoCopy: memory, count: count, deallocator: .free)
            } catch {
                free(memory)
                throw error
            }
        }
    }

    public func size(_ key: ObjectKey) async throws -> UInt64? {
        try await blocking { try $0.files.sizeOfFile($0.path(key)) }
    }

    public func list(_ prefix: String) async throws -> [StoredObject] {
        try await blocking { store in
            var found: [StoredObject] = []
            try store.collect(prefix, into: &found)
            return found
        }
    }

    private func collect(_ directory: String, into found: inout [StoredObject]) throws {
        let path = directory.isEmpty ? root : root + "/" + directory
        let names: [String]
        do throws(SystemError) {
            names = try files.names(in: path)
        } catch {
            if error.number == ENOENT || error.number == ENOTDIR { return }
            throw error
        }
        for name in names {
            let key = directory.isEmpty ? name : directory + "/" + name
            // A file that somebody else put there is none of ours.
            guard let object = ObjectKey(validating: key) else { continue }
            var status = stat()
            guard lstat(path + "/" + name, &status) == 0 else {
                // It went while the directory was read. Any other reason must not hide it.
                if errno == ENOENT { continue }
                throw SystemError.last("lstat", path + "/" + name)
            }
            if status.st_mode & S_IFMT == S_IFDIR {
                try collect(key, into: &found)
            } else if status.st_mode & S_IFMT == S_IFREG {
                found.append(
                    StoredObject(
                        key: object, size: UInt64(status.st_size),
                        stored: Timestamp(
                            seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)))
            }
        }
    }

    public func delete(_ key: ObjectKey) async throws {
        try await blocking { store in
            let path = store.path(key)
            // A folder of objects is no object.
            guard try store.files.sizeOfFile(path) != nil else { return }
            try store.files.unlink(path)
            let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? store.root
            if store.files.isDirectory(parent) { try store.files.synchronizeDirectory(parent) }
        }
    }

    /// This machine's clock: a directory has no other.
    public func now() async throws -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: time.tv_sec, nanoseconds: time.tv_nsec)
    }
}
