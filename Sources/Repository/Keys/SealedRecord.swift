import CZstd
import Crypto
package import FoundationEssentials
import Model

/// Small objects sealed one by one: snapshots, writer records, sessions, condemned lists.
///
/// Layout: magic `dr-rec` and version 1 (8 bytes with a zero), random salt (32), AES-256-GCM
/// ciphertext and tag. The key is derived from the salt, so the nonce is constant; the associated
/// data is the repository's id and the object's whole key, so that no record can stand in for
/// another, whatever its kind. The plaintext is one zstd frame.
package enum SealedRecord {
    static let magic: [UInt8] = Array("dr-rec".utf8) + [0, 1]
    /// Records above this size are not written, and not opened.
    static let maximumPlaintext = 64 << 20
    /// What a record of that size takes at most, sealed: zstd adds less than 1 in 255.
    static let maximumStored = maximumPlaintext + (1 << 20)

    package static func seal(
        _ plaintext: [UInt8], as key: ObjectKey, with secrets: MasterSecrets
    ) throws -> Data {
        guard plaintext.count <= maximumPlaintext else {
            throw Failure(
                .failed, "\(key) would have \(plaintext.count) bytes, and 64 MiB is the limit",
                side: .local)
        }
        return try seal(
            compressed: FrameCompressor(level: 3).compress(plaintext),
            salt: Identifier<SaltKind>.random().bytes, as: key, with: secrets)
    }

    /// Seals what is compressed already under a given salt, which must never be used twice.
    package static func seal(
        compressed: [UInt8], salt: [UInt8], as key: ObjectKey, with secrets: MasterSecrets
    ) throws -> Data {
        let box = try AES.GCM.seal(
            compressed, using: secrets.recordKey(salt: salt), nonce: try AES.GCM.Nonce(data: zeros),
            authenticating: associatedData(key, secrets))
        var bytes = Data(magic)
        bytes.append(contentsOf: salt)
        bytes.append(box.ciphertext)
        bytes.append(box.tag)
        return bytes
    }

    package static func open(
        _ bytes: Data, as key: ObjectKey, with secrets: MasterSecrets
    ) throws(FormatError) -> [UInt8] {
        let whole = Array(bytes)
        guard whole.count >= 8 + 32 + 16, whole.starts(with: magic.prefix(7)) else {
            throw FormatError(key.path, "it is too short or not one of dr's records")
        }
        guard whole[7] == 1 else {
            throw FormatError(key.path, "it was written by a newer version of dr")
        }
        let salt = Array(whole[8..<40])
        let opened: Data
        do {
            let box = try AES.GCM.SealedBox(
                nonce: AES.GCM.Nonce(data: zeros), ciphertext: whole[40..<(whole.count - 16)],
                tag: whole[(whole.count - 16)...])
            opened = try AES.GCM.open(
                box, using: secrets.recordKey(salt: salt),
                authenticating: associatedData(key, secrets))
        } catch {
            throw FormatError(key.path, "its seal does not fit")
        }
        return try FrameDecompressor().decompress(
            Array(opened), limit: maximumPlaintext, object: key.path)
    }

    private static let zeros = [UInt8](repeating: 0, count: 12)
    private enum SaltKind {}

    private static func associatedData(_ key: ObjectKey, _ secrets: MasterSecrets) -> [UInt8] {
        Array("dr record 1".utf8) + secrets.repository.bytes + Array(key.path.utf8)
    }
}
