import CBlake3
package import Crypto
import FoundationEssentials
package import Model

/// What a chunk holds; part of what its name is made of.
package enum ChunkRole: UInt8, Sendable {
    /// Bytes of a content.
    case data = 0
    /// A list of references.
    case node = 1
}

/// Names chunks: BLAKE3 of the plaintext, keyed by the repository's naming secret and the role.
package struct ChunkNamer: Sendable {
    /// 32 bytes for data, then 32 for nodes.
    private let keys: SymmetricKey

    package init(secret: SymmetricKey) {
        keys = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: secret, info: Array("dr chunk name 1".utf8), outputByteCount: 64)
    }

    /// The name of `bytes` in `role`; 1 to 6 GB/s a core for chunks of 64 KiB, by the processor.
    package func name(_ bytes: UnsafeRawBufferPointer, role: ChunkRole) -> ChunkID {
        keys.withUnsafeBytes { keys in
            withUnsafeTemporaryAllocation(byteCount: 32, alignment: 1) { name in
                dr_blake3_keyed(
                    keys.baseAddress.unsafelyUnwrapped + Int(role.rawValue) * 32,
                    bytes.baseAddress, bytes.count, name.baseAddress)
                return ChunkID(UnsafeRawBufferPointer(name))
            }
        }
    }
}
