public import Crypto
import FoundationEssentials

/// 256 secret 64-bit words, one a byte value: the key of the rolling hash.
///
/// Kept at a fixed address, because the hot loop reads it through a pointer.
public final class GearTable: Sendable {
    // Written once before anyone else sees the object, read-only from then on.
    nonisolated(unsafe) let words: UnsafeMutablePointer<UInt64>

    /// - Parameter secret: The repository's chunker secret; the same secret gives the same cuts.
    public init(secret: SymmetricKey) {
        words = .allocate(capacity: 256)
        let expanded = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: secret, info: Array("dr gear table 1".utf8), outputByteCount: 2048)
        expanded.withUnsafeBytes { bytes in
            for index in 0..<256 {
                words[index] = UInt64(
                    littleEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
            }
        }
    }

    /// The word of a byte value.
    package func word(_ byte: UInt8) -> UInt64 { words[Int(byte)] }

    deinit { words.deallocate() }
}
