public import Crypto
import FoundationEssentials
public import Model

/// Everything secret that a repository's bytes depend on; a key slot wraps exactly this.
public struct MasterSecrets: Sendable {
    /// The repository the secrets belong to.
    public let repository: RepositoryID
    /// Names chunks. Shared by a repository and its copies.
    public let naming: SymmetricKey
    /// Seeds the gear table. Shared by a repository and its copies.
    public let chunker: SymmetricKey
    /// Seals records: snapshots, writer chains, sessions, condemned lists.
    public let records: SymmetricKey
    /// Seals packs; the last epoch seals new ones, all of them open old ones.
    public private(set) var dataKeys: [UInt32: SymmetricKey]

    /// The epoch whose key seals new packs.
    public var currentEpoch: UInt32 { dataKeys.keys.max() ?? 0 }

    /// New random secrets for a new repository.
    ///
    /// - Parameter original: The repository that the new one is a copy of; then chunks have the same
    ///   names and the same cuts in both. Everything else is the new one's own.
    public static func generate(
        for repository: RepositoryID, copyOf original: MasterSecrets? = nil
    ) -> MasterSecrets {
        MasterSecrets(
            repository: repository, naming: original?.naming ?? SymmetricKey(size: .bits256),
            chunker: original?.chunker ?? SymmetricKey(size: .bits256),
            records: SymmetricKey(size: .bits256), dataKeys: [1: SymmetricKey(size: .bits256)])
    }

    package init(
        repository: RepositoryID, naming: SymmetricKey, chunker: SymmetricKey,
        records: SymmetricKey, dataKeys: [UInt32: SymmetricKey]
    ) {
        self.repository = repository
        self.naming = naming
        self.chunker = chunker
        self.records = records
        self.dataKeys = dataKeys
    }

    /// Adds a data key; packs sealed with others stay readable.
    package mutating func add(dataKey: SymmetricKey, epoch: UInt32) { dataKeys[epoch] = dataKey }

    /// A key for another purpose than records, which every slot can derive.
    func derivedFromRecordKey(_ purpose: String) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: records, info: Array(purpose.utf8), outputByteCount: 32)
    }

    /// The key of one pack: HKDF-SHA256 of the epoch's data key, salted with the pack's name.
    func packKey(_ pack: PackID, epoch: UInt32) -> SymmetricKey? {
        dataKeys[epoch].map {
            HKDF<SHA256>.deriveKey(
                inputKeyMaterial: $0, salt: pack.bytes, info: Array("dr pack 1".utf8),
                outputByteCount: 32)
        }
    }

    /// The key of one record: HKDF-SHA256 of the record key, salted with the record's random salt.
    func recordKey(salt: [UInt8]) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: records, salt: salt, info: Array("dr record 1".utf8),
            outputByteCount: 32)
    }

    // The wrapped form: version 1 (u8), repository (32), naming (32), chunker (32), records (32),
    // number of data keys (u32), then for each its epoch (u32) and key (32). Little-endian.

    /// The secrets as the bytes that a key slot seals.
    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.append(UInt8(1))
        writer.append(repository.bytes)
        for key in [naming, chunker, records] { writer.append(key.bytes) }
        writer.append(UInt32(dataKeys.count))
        for (epoch, key) in dataKeys.sorted(by: { $0.key < $1.key }) {
            writer.append(epoch)
            writer.append(key.bytes)
        }
        return writer.bytes
    }

    /// The secrets from a key slot's opened bytes.
    package init(decoding bytes: [UInt8]) throws(FormatError) {
        var reader = ByteReader(bytes[...], in: "key slot")
        guard try reader.readByte() == 1 else {
            throw FormatError("key slot", "written by a newer version of dr")
        }
        repository = try reader.readIdentifier()
        naming = SymmetricKey(data: try reader.readBytes(32))
        chunker = SymmetricKey(data: try reader.readBytes(32))
        records = SymmetricKey(data: try reader.readBytes(32))
        var keys: [UInt32: SymmetricKey] = [:]
        for _ in 0..<(try reader.readUInt32()) {
            let epoch = try reader.readUInt32()
            keys[epoch] = SymmetricKey(data: try reader.readBytes(32))
        }
        guard !keys.isEmpty, reader.isAtEnd else {
            throw FormatError("key slot", "has the wrong length")
        }
        dataKeys = keys
    }
}

extension SymmetricKey {
    /// The key's bytes, for wrapping only.
    var bytes: [UInt8] { withUnsafeBytes { Array($0) } }
}
