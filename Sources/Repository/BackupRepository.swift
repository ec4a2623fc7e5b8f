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
    /// The key slot that opened it.
    let slot: String
    /// Opens data keys that others make for this slot.
    let exchange: Curve25519.KeyAgreement.PrivateKey

    private init(store: any ObjectStore, slot: String, opened: KeySlot.Opened) {
        id = opened.secrets.repository
        self.store = store
        secrets = opened.secrets
        self.slot = slot
        exchange = opened.exchange
    }

    // MARK: Making and opening

    /// Makes a repository in `store` and unlocks it.
    ///
    /// The configuration is written last: before it is there, there is no repository.
    ///
    /// - Parameters:
    ///   - label: Names the first key slot, for people.
    ///   - scryptCost: scrypt's N; tests use a small one.
    ///   - original: Make a copy of this one: the same content gets the same chunk names in both, so
    ///     that packs can be copied without being cut anew. All keys are the new one's own.
    /// - Throws: `Failure` when there is one already, or when the place holds something else.
    public static func create(
        in store: any ObjectStore, credential: Credential, label: String,
        scryptCost: Int = KeySlot.standardCost, copyOf original: BackupRepository? = nil
    ) async throws -> BackupRepository {
        try await store.prepare()
        try await refuse(occupied: store)
        let now = try await store.now()
        let secrets = MasterSecrets.generate(for: .random(), copyOf: original?.secrets)
        let (slot, opened) = try await BlockingPool.shared.run {
            let slot = try KeySlot.wrap(
                secrets, under: credential, label: label, created: now, cost: scryptCost)
            return (slot, try slot.unwrap(with: credential))
        }
        guard let opened else {
            throw Failure(
                .failed, "a key slot does not open again right after it was made",
                hint: "this machine's memory may be faulty: test it", side: .local)
        }
        try await store.put(slot.objectKey, [try encode(slot)])
        let configuration = RepositoryConfiguration(
            format: RepositoryConfiguration.currentFormat, repository: secrets.repository,
            features: [], created: now)
        try await store.put(RepositoryConfiguration.key, [try encode(configuration)])
        let repository = BackupRepository(store: store, slot: slot.id, opened: opened)
        try await repository.restoreReserve()
        return repository
    }

    /// A new repository goes where nothing is, or only what an `init` that was cut off left.
    private static func refuse(occupied store: any ObjectStore) async throws {
        if try await store.size(RepositoryConfiguration.key) != nil {
            throw Failure(
                .failed, "there is a repository at \(store.place) already",
                hint: "use it with 'dr backup', or choose another place", side: .repository)
        }
        if let name = try await store.foreignNames().first {
            throw Failure(
                .failed, "\(store.place) is not empty: it holds \(printable(name.utf8))",
                hint: "name an empty directory, or a new one below it", side: .repository)
        }
        for prefix in ["packs", "snapshots", "writers"] {
            guard let object = try await store.list(prefix).first else { continue }
            throw Failure(
                .failed,
                "\(store.place) holds \(object.key) of a repository whose file 'config' is missing",
                hint: "put 'config' back from a copy, or name another place", side: .repository)
        }
    }

    /// Unlocks the repository in `store`.
    ///
    /// - Throws: `Failure` with code `noRepository`, `wrongKey`, `unsupportedRepository` or
    ///   `damaged`.
    public static func open(in store: any ObjectStore, credential: Credential) async throws
        -> BackupRepository
    {
        let configuration = try await configuration(of: store)
        let ring = try await KeyRing.read(store)
        guard !ring.slots.isEmpty || !ring.damaged.isEmpty else {
            throw Failure(
                .damaged, "the repository at \(store.place) lists no key slot",
                hint: "restore its 'keys' folder from a copy, or use the recovery kit",
                side: .repository)
        }
        var foreign: KeySlot?
        var damage: FormatError?
        for slot in ring.slots + ring.doubtful {
            let unwrapped: KeySlot.Opened?
            do {
                unwrapped = try await BlockingPool.shared.run { try slot.unwrap(with: credential) }
            } catch let error as FormatError {
                // Another slot may open all the same.
                if ring.damaged[slot.objectKey] == nil { damage = error }
                continue
            }
            guard var opened = unwrapped else { continue }
            // A slot left by an `init` that was cut off belongs to another repository.
            guard opened.secrets.repository == configuration.repository else {
                foreign = slot
                continue
            }
            try ring.addDataKeys(to: &opened, slot: slot)
            return BackupRepository(store: store, slot: slot.id, opened: opened)
        }
        if let foreign {
            throw Failure(
                .damaged,
                "key slot \(foreign.id.prefix(8)) of the repository at \(store.place) opens, but"
                    + " belongs to another repository than its file 'config' names",
                hint: "put 'config' back from a copy", side: .repository)
        }
        if let damage { throw damage.failure }
        throw ring.refusal(of: credential, at: store.place)
    }

    /// Whether equal content has equal chunk names and cuts in `other`: one is a copy of the other,
    /// or both are copies of a third.
    public func namesChunksLike(_ other: BackupRepository) -> Bool {
        secrets.naming == other.secrets.naming && secrets.chunker == other.secrets.chunker
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
            for prefix in ["snapshots", "writers"] where try await !store.list(prefix).isEmpty {
                throw Failure(
                    .damaged, "the repository at \(store.place) has lost its file 'config'",
                    hint: "put 'config' back from a copy", side: .repository)
            }
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

    /// JSON for people to look at.
    static func encode(_ value: some Encodable) throws -> Data {
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
            currentEpoch: secrets.currentEpoch, capacity: Int(cache.bytes),
            relearn: IndexRelearning(repository: self, index: index))
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

    static func objectKey(_ snapshot: SnapshotID) -> ObjectKey {
        ObjectKey("snapshots/\(snapshot)")
    }

    /// Writes a snapshot's record and reads it back: from then on the snapshot exists.
    ///
    /// Everything that the record refers to must be durable before.
    public func put(_ snapshot: SnapshotRecord) async throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        try await putRecord(
            Array(try encoder.encode(snapshot)), as: Self.objectKey(snapshot.id))
    }

    /// Names of all snapshots in the store.
    public func listSnapshots() async throws -> Set<SnapshotID> {
        Set(try await store.list("snapshots").compactMap { SnapshotID($0.key.name) })
    }

    /// The record of one snapshot.
    ///
    /// - Throws: ``FormatError`` when it is damaged, ``ObjectMissing`` when it is not there.
    public func snapshot(_ id: SnapshotID) async throws -> SnapshotRecord {
        do {
            return try await snapshotAsRead(id, .kept)
        } catch is FormatError {
            // What was wrong on its way here may be right in the store.
            return try await snapshotAsRead(id, .renewed)
        }
    }

    private func snapshotAsRead(
        _ id: SnapshotID, _ nearness: Nearness
    ) async throws -> SnapshotRecord {
        let key = Self.objectKey(id)
        let sealed = try await store.get(key, atMost: SealedRecord.maximumStored, nearness)
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
