/// The same numbers for the same seed, on every machine: SplitMix64.
public struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// Bytes that nothing compresses.
    public mutating func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            var offset = 0
            while offset < count {
                withUnsafeBytes(of: next()) { word in
                    for byte in word.prefix(count - offset) {
                        buffer[offset] = byte
                        offset += 1
                    }
                }
            }
            filled = count
        }
    }

    /// Text of made-up words, as compressible as text is.
    public mutating func text(_ count: Int) -> [UInt8] {
        let words = [
            "service", "volume", "restore", "night", "clock", "order", "packs", "of", "the", "a",
            "17", "server", "\n", "healthy", "row", "-", "table", "drill", "evidence", "minute",
        ]
        var text: [UInt8] = []
        text.reserveCapacity(count + 16)
        while text.count < count {
            text += words[Int.random(in: 0..<words.count, using: &self)].utf8
            text.append(UInt8(ascii: " "))
        }
        return Array(text.prefix(count))
    }
}
