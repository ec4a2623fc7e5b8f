import Engine
import Model
import Repository
import RepositorySupport
import TestSupport

/// The stores that keep ``ObjectStore``'s promises.
enum StoreKind: String, CaseIterable, Sendable {
    case memory, directory
    /// The decorator of the tests, with nothing to go wrong, over each.
    case faultyMemory, faultyDirectory
    /// What keeps parts of it near.
    case cachedMemory
    /// A bucket of SeaweedFS; with a name before the host's, and at its top.
    case bucket, wholeBucket
    /// A bucket of another implementation.
    case otherBucket
    /// A directory behind a real sshd, and behind one that offers nothing but the protocol.
    case sftp

    /// Those that this machine has servers for.
    static let allCases: [StoreKind] =
        [.memory, .directory, .faultyMemory, .faultyDirectory, .cachedMemory]
        + (TestEnvironment.hasS3 ? [.bucket, .wholeBucket] : [])
        + (TestEnvironment.hasOtherS3 ? [.otherBucket] : [])
        + (TemporarySSHServer.isPossible ? [.sftp] : [])

    func with(_ body: (any ObjectStore) async throws -> Void) async throws {
        switch self {
        case .memory: try await body(MemoryStore())
        case .faultyMemory: try await body(FaultyStore(MemoryStore()))
        case .cachedMemory:
            try await TemporaryDirectory.with("store") { scratch in
                let cache = ObjectCache(in: scratch.path("cache"), limit: ByteCount(64 << 20))
                try await body(CachingStore(MemoryStore(), cache: cache))
            }
        case .directory, .faultyDirectory:
            try await TemporaryDirectory.with("store") { scratch in
                let store = DirectoryStore(root: scratch.path("new/repository"))
                try await body(self == .directory ? store : FaultyStore(store))
            }
        case .bucket: try await body(try await TestBucket.store())
        case .wholeBucket:
            try await body(try await TestBucket.store(place: "b-\(TestBucket.unusedName())"))
        case .otherBucket:
            try await body(try await TestBucket.store(at: TestEnvironment.otherS3Endpoint))
        case .sftp:
            try await TemporaryDirectory.with("sftp") { scratch in
                let server = try await TemporarySSHServer(in: scratch)
                let place = "sftp://127.0.0.1:\(server.port)\(scratch.path("new/repository"))"
                guard case .sftp(let address) = try StorePlace(parsing: place) else { return }
                try await body(SFTPStore(address, ssh: SSHProgram(words: server.words)))
            }
        }
    }
}

/// Buckets of the servers that tests may fill.
enum TestBucket {
    static func unusedName() -> String { String(UInt64.random(in: 0 ... .max), radix: 16) }

    static let credentials = S3Credentials(
        accessKey: TestEnvironment.s3Key ?? "", secretKey: TestEnvironment.s3Secret ?? "")

    /// A place where nothing is.
    ///
    /// - Parameter place: Bucket and prefix.
    static func store(
        at endpoint: String? = TestEnvironment.s3Endpoint, place: String? = nil,
        options: S3Options = S3Options()
    ) async throws -> S3Store {
        let place = place ?? "conformance/\(unusedName())/below"
        let text = "s3:\(endpoint ?? "")/\(place)"
        guard case .s3(let address) = try StorePlace(parsing: text) else {
            throw OutsideProgram.Problem(text)
        }
        let store = try S3Store(address, credentials: credentials, options: options)
        try await store.prepare()
        return store
    }
}
