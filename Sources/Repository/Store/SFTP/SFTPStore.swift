public import Engine
public import FoundationEssentials
public import Model
import Synchronization

/// Objects as files below a directory that SSH reaches, in the same layout as ``DirectoryStore``: one
/// may be copied to the other.
///
/// A file appears under its name only when it is whole; it is synced where the server offers
/// `fsync@openssh.com`, and asked for afterwards. Directories cannot be synced over SFTP. Times are
/// whole seconds by the server's clock.
public final class SFTPStore: ObjectStore {
    public let address: SFTPAddress
    private let line: SFTPLine
    private let retries: StoreRetries
    private let pool: BlockingPool
    private let uploads: RateLimit?
    private let downloads: RateLimit?
    /// Directories known to exist.
    private let made = Mutex<Set<String>>([])

    /// - Parameters:
    ///   - ssh: The program, with the options that come first.
    ///   - deadline: Longest time that one call is tried for.
    ///   - uploadRate: Bytes a second that all uploads may have together; nil for no limit.
    ///   - downloadRate: The same of downloads.
    public init(
        _ address: SFTPAddress, ssh: SSHProgram, deadline: TimeSpan = TimeSpan(seconds: 300),
        uploadRate: ByteCount? = nil, downloadRate: ByteCount? = nil
    ) {
        self.address = address
        uploads = uploadRate.map(RateLimit.init)
        downloads = downloadRate.map(RateLimit.init)
        line = SFTPLine(address, ssh)
        retries = StoreRetries(place: address.description, deadline: deadline)
        pool = BlockingPool(limit: 16)
    }

    public var place: String { address.description }
    public var isRemote: Bool { true }
    public var keepsReserve: Bool { true }

    func path(_ key: ObjectKey) -> String { "\(address.path)/\(key.path)" }

    /// Does `body` with a connection, and again with another one where that was lost.
    func perform<Value: Sendable>(
        _ body: @escaping @Sendable (SFTPFiles) throws -> Value
    ) async throws -> Value {
        try await retries.call { _, _ in
            let connection = try await line.connection()
            let files = SFTPFiles(
                connection: connection, uploads: uploads, downloads: downloads)
            do {
                return try await pool.run { try body(files) }
            } catch let refusal as SFTPRefusal {
                throw await failure(refusal, connection)
            }
        }
    }

    /// A refusal as a person sees it. Servers do not say that a disk is full.
    private func failure(
        _ refusal: SFTPRefusal, _ connection: SFTPConnection
    ) async -> Failure {
        let said = printable(refusal.message.utf8)
        if refusal.status == .failure {
            let root = address.path
            let free = try? await pool.run {
                try SFTPFiles(connection: connection).freeBytes(root)
            }
            if let free, free < 64 << 20 {
                return Failure(
                    .noSpace, "\(place) is full", hint: "free some space there, or run dr prune",
                    cause: said, side: .repository)
            }
        }
        return Failure(
            .failed, "\(place) refuses",
            hint: refusal.status == .permissionDenied
                ? "give the user there the right to read and write below that directory" : nil,
            cause: said, side: .repository)
    }

    public func prepare() async throws {
        let root = address.path
        try await perform { try $0.makeDirectories(root) }
    }

    // MARK: Objects

    public func put(_ key: ObjectKey, _ parts: [Data]) async throws {
        let path = path(key)
        let length = parts.reduce(0) { $0 + UInt64($1.count) }
        try await perform { [self] files in
            try makeDirectory(of: path, files)
            let temporary = Self.temporary(path)
            do {
                try files.write(temporary, parts)
                try files.rename(temporary, to: path)
            } catch {
                try? files.remove(temporary)
                // Somebody else may have removed it since.
                made.withLock { $0 = [] }
                throw error
            }
            guard try files.attributes(path)?.size == length else {
                throw Failure(
                    .failed, "\(place) says that it has stored \(key), and has not",
                    hint: "the store is not to be trusted: look at its disk", side: .repository,
                    isTransient: true)
            }
        }
    }

    static func temporary(_ path: String) -> String {
        "\(path).\(String(UInt32.random(in: 0 ... .max), radix: 16)).tmp"
    }

    private func makeDirectory(of path: String, _ files: SFTPFiles) throws {
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        if made.withLock({ $0.contains(parent) }) { return }
        try files.makeDirectories(parent)
        made.withLock { _ = $0.insert(parent) }
    }

    public func get(_ key: ObjectKey, _ range: ObjectRange) async throws -> Data {
        let path = path(key)
        guard let data = try await perform({ try $0.read(path, range) }) else {
            throw ObjectMissing(key)
        }
        return data
    }

    public func size(_ key: ObjectKey) async throws -> UInt64? {
        let path = path(key)
        return try await perform { files in
            guard let attributes = try files.attributes(path), attributes.isFile else { return nil }
            return attributes.size
        }
    }

    public func delete(_ key: ObjectKey) async throws {
        let path = path(key)
        try await perform { files in
            // A folder of objects is no object.
            guard try files.attributes(path)?.isFile == true else { return }
            try files.remove(path)
        }
    }

    public func move(_ key: ObjectKey, to other: ObjectKey) async throws {
        let moment = try await now()
        let (old, new) = (path(key), path(other))
        let isThere = try await perform { [self] files in
            guard try files.attributes(old)?.isFile == true else {
                // The answer to an earlier try may have been lost.
                return false
            }
            try makeDirectory(of: new, files)
            try files.touch(old, moment)
            try files.rename(old, to: new)
            return true
        }
        if !isThere { throw ObjectMissing(key) }
    }

    // MARK: Listings

    public func list(_ prefix: String) async throws -> [StoredObject] {
        let root = address.path
        return try await perform { files in
            var found: [StoredObject] = []
            try Self.collect(prefix, below: root, files, into: &found)
            return found
        }
    }

    private static func collect(
        _ directory: String, below root: String, _ files: SFTPFiles,
        into found: inout [StoredObject]
    ) throws {
        let path = directory.isEmpty ? root : "\(root)/\(directory)"
        for (name, attributes) in try files.entries(path) ?? [] {
            // A file that somebody else put there is none of ours.
            let below = directory.isEmpty ? name : "\(directory)/\(name)"
            guard let key = ObjectKey(validating: below) else { continue }
            if attributes.isDirectory {
                try collect(below, below: root, files, into: &found)
            } else if attributes.isFile, let size = attributes.size {
                found.append(StoredObject(key: key, size: size, stored: attributes.stored))
            }
        }
    }

    public func foreignNames() async throws -> [String] {
        let root = address.path
        return try await perform { files in
            let foreign = (try files.entries(root) ?? []).map(\.name).sorted().filter {
                !StorePlace.ownNames.contains($0)
                    && !DirectoryStore.isTemporary($0, in: "") && $0 != "lost+found"
            }
            return Array(foreign.prefix(3))
        }
    }

    /// Removes temporary files of our own that crashed writers left; somebody else's stay.
    public func sweep(olderThan age: TimeSpan) async throws -> Int {
        let limit = try await now() + TimeSpan(nanoseconds: -age.nanoseconds)
        let root = address.path
        return try await perform { files in
            var count = 0
            func sweep(_ directory: String, _ depth: Int) throws {
                let path = directory.isEmpty ? root : "\(root)/\(directory)"
                let start = directory.isEmpty ? "" : directory + "/"
                for (name, attributes) in try files.entries(path) ?? [] {
                    if attributes.isDirectory {
                        let isOurs = depth > 0 || StorePlace.ownNames.contains(name)
                        guard isOurs, depth < 3, ObjectKey(validating: start + name) != nil else {
                            continue
                        }
                        try sweep(start + name, depth + 1)
                    } else if attributes.isFile, DirectoryStore.isTemporary(name, in: start),
                        attributes.stored < limit
                    {
                        try files.remove("\(path)/\(name)")
                        count += 1
                    }
                }
            }
            try sweep("", 0)
            return count
        }
    }

    /// The server's clock, as it stamps a new file.
    public func now() async throws -> Timestamp {
        let root = address.path
        return try await perform { files in
            let path = Self.temporary("\(root)/reserve")
            do {
                try files.makeDirectories(root)
                try files.write(path, [])
            } catch let refusal as SFTPRefusal where refusal.status == .permissionDenied {
                // Who may only read has to do with this machine's.
                return SystemTimepiece().wall
            }
            defer { try? files.remove(path) }
            return try files.attributes(path)?.stored ?? SystemTimepiece().wall
        }
    }
}

/// The connection of a store: opened when it is needed, and again when it has ended.
private actor SFTPLine {
    private let address: SFTPAddress
    private let ssh: SSHProgram
    private var opening: Task<SFTPConnection, any Error>?

    init(_ address: SFTPAddress, _ ssh: SSHProgram) {
        self.address = address
        self.ssh = ssh
    }

    func connection() async throws -> SFTPConnection {
        if let opening {
            // One that failed, or has ended, is of no use to anybody.
            if let known = try? await opening.value, !known.hasEnded { return known }
            if self.opening == opening { self.opening = nil }
        }
        if let other = opening { return try await other.value }
        let task = Task { [address, ssh] in try await SFTPConnection.open(address, ssh: ssh) }
        opening = task
        do { return try await task.value } catch {
            if opening == task { opening = nil }
            throw error
        }
    }
}
