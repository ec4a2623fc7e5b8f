package import Crypto
import CryptoExtras
import FoundationEssentials
public import Model

/// What a person or a machine unlocks a repository with.
public enum Credential: Sendable {
    /// A password; stretched with scrypt.
    case password(String)
    /// A random 256-bit key held by an unattended machine; needs no stretching.
    case key([UInt8])
}

/// One way into the repository: the master secrets, wrapped under one password or key.
///
/// Stored as JSON, so that a person can see what it is; everything secret is sealed.
public struct KeySlot: Codable, Sendable {
    /// Version of this layout.
    public var version: Int
    /// Name of the slot: 64 hexadecimal digits, also the last component of its object's key.
    public var id: String
    /// `password` or `key`.
    public var kind: String
    /// For people, for example the host that uses it.
    public var label: String
    public var created: Timestamp
    /// scrypt's costs and salt; nil for a random key.
    public var scrypt: Scrypt?
    /// AES-256-GCM nonce, ciphertext and tag in hexadecimal.
    public var sealed: String

    /// scrypt's parameters: RFC 7914.
    public struct Scrypt: Codable, Sendable {
        public var n: Int
        public var r: Int
        public var p: Int
        public var salt: String
    }

    /// Where slots are kept.
    public static let prefix = "keys"
    public var objectKey: ObjectKey { ObjectKey("\(Self.prefix)/\(id)") }

    /// Cost of a new password slot: 128 MiB of memory, a few tenths of a second.
    public static let standardCost = 1 << 17

    /// No slot may ask for more memory: whoever can write into the store chooses the parameters.
    static let maximumMemory = 1 << 30
    /// No slot's JSON is longer, in bytes.
    static let maximumLength = 1 << 20

    /// Wraps `secrets` under `credential`.
    ///
    /// - Parameter cost: scrypt's N, a power of two; tests use a small one.
    public static func wrap(
        _ secrets: MasterSecrets, under credential: Credential, label: String, created: Timestamp,
        cost: Int = standardCost
    ) throws -> KeySlot {
        try wrap(
            secrets, under: credential, label: label, created: created, cost: cost,
            id: Identifier<KeySlot>.random().description,
            salt: Identifier<Scrypt>.random().bytes, nonce: AES.GCM.Nonce())
    }

    /// Wraps with everything given that ``wrap(_:under:label:created:cost:)`` draws at random.
    package static func wrap(
        _ secrets: MasterSecrets, under credential: Credential, label: String, created: Timestamp,
        cost: Int, id: String, salt: [UInt8], nonce: AES.GCM.Nonce
    ) throws -> KeySlot {
        var slot = KeySlot(
            version: 1, id: id, kind: "key", label: label, created: created, scrypt: nil,
            sealed: "")
        if case .password = credential {
            slot.kind = "password"
            slot.scrypt = Scrypt(n: cost, r: 8, p: 1, salt: Hexadecimal.encode(salt))
        }
        let box = try AES.GCM.seal(
            secrets.encoded(), using: try slot.wrappingKey(for: credential), nonce: nonce,
            authenticating: slot.associatedData)
        slot.sealed = Hexadecimal.encode(box.combined ?? Data())
        return slot
    }

    /// The secrets, or nil when `credential` is not this slot's.
    package func unwrap(with credential: Credential) throws -> MasterSecrets? {
        switch (credential, kind) {
        case (.password, "password"), (.key, "key"): break
        default: return nil
        }
        guard let sealed = Hexadecimal.decode(sealed),
            let box = try? AES.GCM.SealedBox(combined: sealed)
        else { throw FormatError(objectKey.path, "its sealed part is not readable") }
        let key = try wrappingKey(for: credential)
        guard let opened = try? AES.GCM.open(box, using: key, authenticating: associatedData)
        else { return nil }
        return try MasterSecrets(decoding: Array(opened))
    }

    private var associatedData: [UInt8] { Array("dr key slot 1 \(kind) \(id)".utf8) }

    private func wrappingKey(for credential: Credential) throws -> SymmetricKey {
        switch credential {
        case .key(let bytes):
            return HKDF<SHA256>.deriveKey(
                inputKeyMaterial: SymmetricKey(data: bytes), info: Array("dr key slot 1".utf8),
                outputByteCount: 32)
        case .password(let password):
            guard let scrypt, let salt = Hexadecimal.decode(scrypt.salt),
                scrypt.n >= 2, scrypt.n <= 1 << 23, scrypt.n & (scrypt.n - 1) == 0,
                scrypt.r >= 1, scrypt.r <= 32, scrypt.p >= 1, scrypt.p <= 16,
                128 * scrypt.n * scrypt.r <= Self.maximumMemory
            else { throw FormatError(objectKey.path, "its scrypt parameters are out of range") }
            return try KDF.Scrypt.deriveKey(
                from: Array(password.utf8), salt: salt, outputByteCount: 32, rounds: scrypt.n,
                blockSize: scrypt.r, parallelism: scrypt.p,
                maxMemory: 256 * scrypt.n * scrypt.r)
        }
    }
}
