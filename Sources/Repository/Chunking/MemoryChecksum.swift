/// A fast 64-bit sum that notices bytes that changed in memory; no defence against an attacker.
///
/// Taken of a chunk just before it is named, and compared with what comes out of the sealed frame
/// before anything refers to it: a bit that flips in between, or an encoder's mistake, is caught. It
/// is stored nowhere.
///
/// The multiply-and-fold step is the one of wyhash (Wang Yi, public domain); the constants are the
/// first 64 bits of the fractional parts of the square roots of 2, 3 and 5.
enum MemoryChecksum {
    private static let first: UInt64 = 0x6A09_E667_F3BC_C908
    private static let second: UInt64 = 0xBB67_AE85_84CA_A73B
    private static let third: UInt64 = 0x3C6E_F372_FE94_F82B

    /// Sum of `bytes`; about 10 GB/s a core.
    static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        guard let base = bytes.baseAddress else { return first }
        let count = bytes.count
        var a = first ^ UInt64(truncatingIfNeeded: count)
        var b = second
        var offset = 0
        while offset &+ 32 <= count {
            a = fold(a ^ word(base, offset), third ^ word(base, offset &+ 8))
            b = fold(b ^ word(base, offset &+ 16), first ^ word(base, offset &+ 24))
            offset &+= 32
        }
        while offset &+ 8 <= count {
            a = fold(a ^ word(base, offset), second)
            offset &+= 8
        }
        var tail: UInt64 = 0
        while offset < count {
            tail = tail << 8 | UInt64(base.load(fromByteOffset: offset, as: UInt8.self))
            offset &+= 1
        }
        return fold(a ^ tail ^ third, b ^ second)
    }

    @inline(__always)
    private static func word(_ base: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    @inline(__always)
    private static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }
}
