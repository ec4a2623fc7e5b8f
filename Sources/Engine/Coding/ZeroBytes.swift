/// Whether every byte is zero; about as fast as memory can be read.
public func isAllZeros(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var offset = 0
    while offset &+ 64 <= bytes.count {
        var sum = SIMD8<UInt64>(repeating: 0)
        sum |= bytes.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
        if sum != .zero { return false }
        offset &+= 64
    }
    while offset < bytes.count {
        if bytes[offset] != 0 { return false }
        offset &+= 1
    }
    return true
}
