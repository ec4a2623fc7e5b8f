import Crypto
import Engine
import FoundationEssentials
public import Model

/// The plaintext object `config`: what is needed before any key is.
struct RepositoryConfiguration: Codable {
    static let key = ObjectKey("config")
    static let currentFormat = 1

    var format: Int
    var repository: RepositoryID
    /// Features that a reader must know; none yet.
    var features: [String]
    var created: Timestamp
}

/// An unlocked repository: where snapshots and their bytes are kept.
///
/// Safe to use from anywhere. Holds no lock: any number of processes may read and write at once.
public final class BackupRepository: Sendable {
    public let id: RepositoryID
    public let store: any ObjectStore
    let secrets: MasterSecrets

    private init(store: any ObjectStore, secrets: MasterSecrets) {
        id = secrets.repository
        self.store = store
        self.secrets = secrets
    }

    // MARK: Making and opening

    /// Makes a repository in `store` and unlocks it.
    ///
    /// The configuration is written last: before it is there, there is no repository.
    ///
    /// - Parameters:
    ///   - label: Names the first key slot, for people.
    ///   - scryptCost: scrypt's N; tests use a small one.
    /// - Throws: `Failure` when there is one already.
    public static func create(
        in store: any ObjectStore, credential: Credential, label: String,
        scryptCost: Int = KeySlot.standardCost
    ) async throws -> BackupRepository {
        if try await store.size(RepositoryConfiguration.key) != nil {
            throw Failure(
                .failed, "there is a repository at \(store.place) already",
                hint: "use it with 'dr backup', or choose another place", side: .repository)
        }
        let now = try await store.now()
        let secrets = MasterSecrets.generate(for: .random())
        let slot = try await BlockingPool.shared.run {
            try KeySlot.wrap(
                secrets, under: credential, label: label, created: now, cost: scryptCost)
        }
        try await store.put(slot.objectKey, [try encode(slot)])
        let configuration = RepositoryConfiguration(
            format: RepositoryConfiguration.currentFormat, repository: secrets.repository,
            features: [], created: now)
        try await store.put(RepositoryConfiguration.key, [try encode(configuration)])
        let repository = BackupRepository(store: store, secrets: secrets)
        try await repository.restoreReserve()
        return repository
    }

    /// Unlocks the repository in `store`.
    ///
    /// - Throws: `Failure` with code `noRepository`, `wrongKey`, `unsupportedRepository` or
    ///   `damaged`.
    public static func open(in store: any ObjectStore, credential: Credential) async throws
        -> BackupRepository
    {
        let configuration = try await configuration(of: store)
        let slots = try await keySlots(in: store)
        guard !slots.isEmpty else {
            throw Failure(
                .damaged, "the repository at \(store.place) lists no key slot",
                hint: "restore its 'keys' folder from a copy, or use the recovery kit",
                side: .repository)
        }
        var damage: FormatError?
        for slot in slots {
            let opened: MasterSecrets?
            do {
                opened = try await BlockingPool.shared.run { try slot.unwrap(with: credential) }
            } catch let error as FormatError {
                // Another slot may open all the same.
                damage = error
                continue
            }
            // A slot left by an `init` that was cut off belongs to another repository.
            if let opened, opened.repository == configuration.repository {
                return BackupRepository(store: store, secrets: opened)
            }
        }
        if let damage { throw damage.failure }
        throw Failure(
            .wrongKey, "the password does not open the repository at \(store.place)",
            hint: "check DR_PASSWORD, DR_PASSWORD_FILE or DR_PASSWORD_COMMAND", side: .repository)
    }

    /// The identity of the repository in `store`, which needs no key.
    public static func identity(of store: any ObjectStore) async throws -> RepositoryID {
        try await configuration(of: store).repository
    }

    private static func configuration(of store: any ObjectStore) async throws
        -> RepositoryConfiguration
    {
        let bytes: Data
        do {
            bytes = try await store.get(RepositoryConfiguration.key, atMost: KeySlot.maximumLength)
        } catch is ObjectMissing {
            throw Failure(
                .noRepository, "there is no repository at \(store.place)",
                hint:
                    "run 'dr init' to make one there, or correct 'repository' in the configuration",
                side: .repository)
        } catch let error as FormatError {
            throw error.failure
        }
        // What a newer release adds must not look like damage.
        struct Version: Decodable { var format: Int }
        guard let version = try? JSONDecoder().decode(Version.self, from: bytes) else {
            throw Failure(
                .damaged, "the configuration of the repository at \(store.place) is damaged",
                hint: "restore its file 'config' from a copy", side: .repository)
        }
        guard version.format == RepositoryConfiguration.currentFormat else {
            throw Failure(
                .unsupportedRepository,
                "the repository at \(store.place) has format \(version.format), which this version"
                    + " of dr does not know",
                hint: "install a newer dr", side: .repository)
        }
        guard
            let configuration = try? JSONDecoder().decode(
                RepositoryConfiguration.self, from: bytes)
        else {
            throw Failure(
                .damaged, "the configuration of the repository at \(store.place) is damaged",
                hint: "restore its file 'config' from a copy", side: .repository)
        }
        if let feature = configuration.features.first {
            throw Failure(
                .unsupportedRepository,
                "the repository at \(store.place) uses '\(printable(feature.utf8))', which this"
                    + " version of dr does not know",
                hint: "install a newer dr", side: .repository)
        }
        return configuration
    }

    private static func keySlots(in store: any ObjectStore) async throws -> [KeySlot] {
        var slots: [KeySlot] = []
        for object in try await store.list(KeySlot.prefix).sorted(by: { $0.key < $1.key }) {
            guard object.size <= UInt64(KeySlot.maximumLength) else { continue }
            let bytes = try await store.get(object.key, .whole)
            if let slot = try? JSONDecoder().decode(KeySlot.self, from: bytes), slot.version == 1,
                ObjectKey(validating: "\(KeySlot.prefix)/\(slot.id)") == object.key
            {
                slots.append(slot)
            }
        }
        // Random keys need no stretching: try them first.
        return slots.sorted { $0.kind < $1.kind }
    }

    private static func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        return try encoder.encode(value)
    }

    // MARK: Bytes

    /// A session that writes contents; close it.
    public func makeWriteSession(index: any ChunkIndex, options: WriteOptions = WriteOptions())
        -> WriteSession
    {
        WriteSession(secrets: secrets, store: store, index: index, options: options)
    }

    /// A reader of chunks, for one thread.
    ///
    /// - Parameter cache: Bytes of open frames that are kept.
    public func makeReader(index: any ChunkIndex, cache: ByteCount = ByteCount(64 << 20))
        -> ChunkReader
    {
        ChunkReader(
            packs: packs, index: index, namer: ChunkNamer(secret: secrets.naming),
            currentEpoch: secrets.currentEpoch, capacity: Int(cache.bytes))
    }

    /// Reads packs directly.
    public var packs: PackReader { PackReader(secrets: secrets, store: store) }

    /// All packs in the store, with their sizes in bytes.
    public func listPacks() async throws -> [PackID: UInt64] {
        var packs: [PackID: UInt64] = [:]
        for object in try await store.list("packs") {
            if let id = PackID(object.key.name), PackLayout.objectKey(id) == object.key {
                packs[id] = object.size
            }
        }
        return packs
    }

    // MARK: Snapshots

    private static func objectKey(_ snapshot: SnapshotID) -> ObjectKey {
        ObjectKey("snapshots/\(snapshot)")
    }

    /// Writes a snapshot's record and reads it back: from then on the snapshot exists.
    ///
    /// Everything that the record refers to must be durable before.
    public func put(_ snapshot: SnapshotRecord) async throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let key = Self.objectKey(snapshot.id)
        let sealed = try SealedRecord.seal(
            Array(try encoder.encode(snapshot)), as: key, with: secrets)
        try await store.put(key, [sealed])
        guard try await store.get(key, .whole) == sealed else {
            throw Failure(
                .failed, "\(store.place) does not give back the snapshot that was just written",
                hint: "the store is not to be trusted: check its disk", side: .repository)
        }
    }

    /// Names of all snapshots in the store.
    public func listSnapshots() async throws -> Set<SnapshotID> {
        Set(try await store.list("snapshots").compactMap { SnapshotID($0.key.name) })
    }

    /// The record of one snapshot.
    ///
    /// - Throws: ``FormatError`` when it is damaged, ``ObjectMissing`` when it is not there.
    public func snapshot(_ id: SnapshotID) async throws -> SnapshotRecord {
        let key = Self.objectKey(id)
        let sealed = try await store.get(key, atMost: SealedRecord.maximumStored)
        let plain = try SealedRecord.open(sealed, as: key, with: secrets)
        guard let record = try? JSONDecoder().decode(SnapshotRecord.self, from: Data(plain)),
            record.id == id
        else { throw FormatError(key.path, "its content is not a snapshot's") }
        return record
    }

    /// Removes a snapshot's record; its bytes stay until they are pruned.
    public func remove(_ snapshot: SnapshotID) async throws {
        try await store.delete(Self.objectKey(snapshot))
    }
}
