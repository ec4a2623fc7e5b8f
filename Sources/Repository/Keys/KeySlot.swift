import CLinux
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
    /// X25519 public key in hexadecimal, to which whoever makes a new data key seals it.
    public var publicKey: String?
    /// Shows those who hold the repository's secrets that the slot was made by one of them.
    public var proof: String?
    /// SHA-256 over everything else, so that damage is not taken for a wrong password.
    public var sum: String?

    private enum CodingKeys: String, CodingKey {
        case version, id, kind, label, created, scrypt, sealed, proof, sum
        case publicKey = "public"
    }

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
        let wrapping = try slot.wrappingKey(for: credential)
        let box = try AES.GCM.seal(
            secrets.encoded(), using: wrapping, nonce: nonce,
            authenticating: slot.associatedData)
        slot.sealed = Hexadecimal.encode(box.combined ?? Data())
        slot.publicKey = Hexadecimal.encode(
            try Self.exchangeKey(wrapping).publicKey.rawRepresentation)
        slot.proof = Hexadecimal.encode(slot.proof(with: secrets))
        slot.sum = slot.ownSum
        return slot
    }

    /// What a credential gives.
    package struct Opened: Sendable {
        package var secrets: MasterSecrets
        /// Opens data keys that were made after the slot.
        var exchange: Curve25519.KeyAgreement.PrivateKey
    }

    /// The secrets, or nil when `credential` is not this slot's.
    package func unwrap(with credential: Credential) throws -> Opened? {
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
        return Opened(
            secrets: try MasterSecrets(decoding: Array(opened)),
            exchange: try Self.exchangeKey(key))
    }

    /// Whether nothing of the object has changed since it was written.
    var isIntact: Bool { sum.map { $0 == ownSum } ?? true }

    /// Whether somebody made it who holds `secrets`.
    func isGenuine(_ secrets: MasterSecrets) -> Bool {
        guard publicKey != nil, let proof = proof.flatMap({ Hexadecimal.decode($0) }) else {
            return false
        }
        return proof == self.proof(with: secrets)
    }

    private var associatedData: [UInt8] { Array("dr key slot 1 \(kind) \(id)".utf8) }

    private func proof(with secrets: MasterSecrets) -> [UInt8] {
        let key = secrets.derivedFromRecordKey("dr slot proof 1")
        let text = "dr key slot 1 \(kind) \(id) \(publicKey ?? "")"
        return Array(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key))
    }

    private var ownSum: String {
        let scrypt = scrypt.map { "\($0.n) \($0.r) \($0.p) \($0.salt)" } ?? ""
        let lines = [
            "dr key slot \(version)", id, kind, label, "\(created)", scrypt, sealed,
            publicKey ?? "", proof ?? "",
        ]
        return Hexadecimal.encode(SHA256.hash(data: Array(lines.joined(separator: "\n").utf8)))
    }

    private static func exchangeKey(_ wrapping: SymmetricKey) throws
        -> Curve25519.KeyAgreement.PrivateKey
    {
        let key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: wrapping, info: Array("dr slot exchange 1".utf8), outputByteCount: 32)
        return try .init(rawRepresentation: key.bytes)
    }

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
            // Its 128 MiB would stay on the heap, under all that comes after.
            defer { dr_release_free_memory() }
            return try KDF.Scrypt.deriveKey(
                from: Array(password.utf8), salt: salt, outputByteCount: 32, rounds: scrypt.n,
                blockSize: scrypt.r, parallelism: scrypt.p,
                maxMemory: 256 * scrypt.n * scrypt.r)
        }
    }
}
