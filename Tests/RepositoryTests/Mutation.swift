/// Bytes spoiled in the ways that decoders fail on: flipped bits, foreign bytes, numbers that became
/// huge, pieces that were left out, doubled, moved, cut off.
struct Mutation<Random: RandomNumberGenerator> {
    var random: Random

    mutating func spoiled(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            guard !bytes.isEmpty else { return bytes }
            let position = Int.random(in: 0..<bytes.count, using: &random)
            let length = Int.random(in: 1...min(16, bytes.count - position), using: &random)
            switch Int.random(in: 0..<8, using: &random) {
            case 0: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[position] = UInt8.random(in: 0...255, using: &random)
            case 2: for index in position..<(position + length) { bytes[index] = 0xFF }
            case 3: bytes.removeSubrange(position..<(position + length))
            case 4: bytes.insert(contentsOf: bytes[position..<(position + length)], at: position)
            case 5: bytes.removeLast(length)
            // A variable number of 64 bits in the place of whatever was there.
            case 6: bytes.replaceSubrange(position..<(position + 1), with: Self.largest)
            default: for index in position..<(position + length) { bytes[index] = 0 }
            }
        }
        return bytes
    }

    private static var largest: [UInt8] { [UInt8](repeating: 0xFF, count: 9) + [1] }
}
