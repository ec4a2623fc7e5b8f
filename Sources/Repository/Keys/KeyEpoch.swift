import Crypto
import FoundationEssentials
import Model

/// A data key that was made after the repository: `keys/epochs/<8 hex>`, sealed to every key slot
/// that there was.
///
/// Nobody needs the passwords of the slots for that: each has a public key (HPKE, RFC 9180). Whoever
/// held a slot that had been removed by then cannot open it.
struct KeyEpoch: Codable, Sendable {
    /// The data key, sealed to one slot.
    struct Grant: Codable, Sendable {
        /// The encapsulated key, in hexadecimal.
        var key: String
        /// Ciphertext and tag, in hexadecimal.
        var sealed: String
    }

    static let prefix = "\(KeySlot.prefix)/epochs"
    private static let suite = HPKE.Ciphersuite(
        kem: .Curve25519_HKDF_SHA256, kdf: .HKDF_SHA256, aead: .AES_GCM_256)

    /// Version of this layout.
    var version: Int
    var epoch: UInt32
    var created: Timestamp
    /// By the id of the slot.
    var grants: [String: Grant]
    /// SHA-256 over everything else.
    var sum: String

    static func objectKey(_ epoch: UInt32) -> ObjectKey {
        let digits = String(epoch, radix: 16)
        return ObjectKey("\(prefix)/\(String(repeating: "0", count: 8 - digits.count))\(digits)")
    }
    var objectKey: ObjectKey { Self.objectKey(epoch) }

    /// The number of the next data key: the upper half counts, the lower half is random, so that two
    /// that are made at the same time by two machines are different ones.
    static func number(after epoch: UInt32) -> UInt32 {
        ((epoch >> 16) + 1) << 16 | UInt32.random(in: 1...0xFFFF)
    }

    /// Seals a new data key to `slots`, which must be genuine.
    static func make(
        _ dataKey: SymmetricKey, epoch: UInt32, for slots: [KeySlot], created: Timestamp,
        secrets: MasterSecrets
    ) throws -> KeyEpoch {
        var made = KeyEpoch(version: 1, epoch: epoch, created: created, grants: [:], sum: "")
        for slot in slots {
            guard let bytes = slot.publicKey.flatMap({ Hexadecimal.decode($0) }) else {
                throw FormatError(slot.objectKey.path, "its public key is not readable")
            }
            var sender = try HPKE.Sender(
                recipientKey: try Curve25519.KeyAgreement.PublicKey(rawRepresentation: bytes),
                ciphersuite: suite, info: info(epoch, slot.id, secrets),
                presharedKey: secrets.derivedFromRecordKey("dr epoch 1"),
                presharedKeyIdentifier: Data("dr epoch 1".utf8))
            let sealed = try sender.seal(dataKey.bytes)
            made.grants[slot.id] = Grant(
                key: Hexadecimal.encode(sender.encapsulatedKey),
                sealed: Hexadecimal.encode(sealed))
        }
        made.sum = made.ownSum
        return made
    }

    /// The data key; nil when it was not sealed to `slot`.
    ///
    /// - Throws: `FormatError` when it was and does not open.
    func dataKey(
        for slot: String, _ exchange: Curve25519.KeyAgreement.PrivateKey, _ secrets: MasterSecrets
    ) throws -> SymmetricKey? {
        guard let grant = grants[slot] else { return nil }
        guard let encapsulated = Hexadecimal.decode(grant.key),
            let sealed = Hexadecimal.decode(grant.sealed),
            var recipient = try? HPKE.Recipient(
                privateKey: exchange, ciphersuite: Self.suite,
                info: Self.info(epoch, slot, secrets), encapsulatedKey: Data(encapsulated),
                presharedKey: secrets.derivedFromRecordKey("dr epoch 1"),
                presharedKeyIdentifier: Data("dr epoch 1".utf8)),
            let key = try? recipient.open(Data(sealed)), key.count == 32
        else { throw FormatError(objectKey.path, "the data key in it does not open") }
        return SymmetricKey(data: key)
    }

    /// Whether nothing of the object has changed since it was written.
    var isIntact: Bool { sum == ownSum }

    private static func info(_ epoch: UInt32, _ slot: String, _ secrets: MasterSecrets) -> Data {
        var writer = ByteWriter()
        writer.append("dr epoch 1".utf8)
        writer.append(secrets.repository)
        writer.append(epoch)
        writer.append(slot.utf8)
        return Data(writer.bytes)
    }

    private var ownSum: String {
        var lines = ["dr epoch \(version)", "\(epoch)", "\(created)"]
        for (slot, grant) in grants.sorted(by: { $0.key < $1.key }) {
            lines += [slot, grant.key, grant.sealed]
        }
        return Hexadecimal.encode(SHA256.hash(data: Array(lines.joined(separator: "\n").utf8)))
    }
}
