import Crypto
import Model
import Repository
import TestSupport
import Testing

@Suite struct ContentCutterTests {
    private static let secret = SymmetricKey(data: [UInt8](repeating: 7, count: 32))

    /// Chunk lengths of `bytes`, all given at once.
    private func lengths(_ bytes: [UInt8], _ cutter: ContentCutter) -> [Int] {
        var lengths: [Int] = []
        bytes.withUnsafeBytes { whole in
            var start = 0
            while start < whole.count {
                let length = cutter.cut(UnsafeRawBufferPointer(rebasing: whole[start...]))
                lengths.append(length)
                start += length
            }
        }
        return lengths
    }

    /// The rule, one byte at a time and without shortcuts, straight from FORMAT.md.
    private func plainLengths(_ bytes: [UInt8], gear: [UInt64], isFine: Bool) -> [Int] {
        let (minimum, average, maximum) =
            isFine ? (4096, 16384, 65536) : (16384, 65536, 262_144)
        let (before, behind): (UInt64, UInt64) = isFine ? (16, 12) : (18, 14)
        var lengths: [Int] = []
        var start = 0
        while start < bytes.count {
            let count = min(bytes.count - start, maximum)
            var length = count
            var position = minimum
            while position < count {
                var hash: UInt64 = 0
                for offset in (position - 63)...position {
                    hash = (hash << 1) &+ gear[Int(bytes[start + offset])]
                }
                let bits = position < average ? before : behind
                if hash >> (64 - bits) == 0 {
                    length = position + 1
                    break
                }
                position += 1
            }
            lengths.append(length)
            start += length
        }
        return lengths
    }

    @Test(arguments: [false, true])
    func cutsWhereTheRuleSays(isFine: Bool) {
        var random = SeededRandom.announced()
        let bytes = (0..<600_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        let cutter = ContentCutter(
            table: GearTable(secret: Self.secret), parameters: isFine ? .fine : .standard)
        let gear = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: Self.secret, info: Array("dr gear table 1".utf8),
            outputByteCount: 2048
        ).withUnsafeBytes { bytes in
            (0..<256).map {
                UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self))
            }
        }
        #expect(lengths(bytes, cutter) == plainLengths(bytes, gear: gear, isFine: isFine))
    }

    @Test func lengthsKeepTheirBoundsAndTheirAverage() {
        var random = SeededRandom.announced()
        let bytes = (0..<(24 << 20)).map { _ in UInt8.random(in: 0...255, using: &random) }
        let lengths = lengths(bytes, ContentCutter(table: GearTable(secret: Self.secret)))
        #expect(lengths.reduce(0, +) == bytes.count)
        #expect(lengths.dropLast().allSatisfy { (16384...262_144).contains($0) })
        // Normalized cutting: most chunks lie around the average.
        let average = bytes.count / lengths.count
        #expect((56_000...82_000).contains(average), "average \(average)")
        let near = lengths.count { (32_768...131_072).contains($0) }
        #expect(Double(near) / Double(lengths.count) > 0.7)
    }

    @Test func anInsertionMovesOnlyTheCutsAroundIt() {
        var random = SeededRandom.announced()
        let bytes = (0..<(8 << 20)).map { _ in UInt8.random(in: 0...255, using: &random) }
        let cutter = ContentCutter(table: GearTable(secret: Self.secret))
        var changed = bytes
        changed.insert(contentsOf: [1, 2, 3], at: 4 << 20)
        func ends(_ bytes: [UInt8]) -> Set<Int> {
            var sum = 0
            // Counted from the end, so that what stands behind the insertion has the same numbers.
            return Set(
                lengths(bytes, cutter).map {
                    sum += $0; return bytes.count - sum
                })
        }
        let before = ends(bytes)
        let after = ends(changed)
        let behind = before.filter { $0 < 4 << 20 }
        let kept = behind.filter { after.contains($0) }
        #expect(Double(kept.count) / Double(behind.count) > 0.9)
    }

    @Test func anotherSecretCutsElsewhere() {
        var random = SeededRandom.announced()
        let bytes = (0..<(16 << 20)).map { _ in UInt8.random(in: 0...255, using: &random) }
        func ends(_ key: UInt8) -> Set<Int> {
            let secret = SymmetricKey(data: [UInt8](repeating: key, count: 32))
            var sum = 0
            return Set(
                lengths(bytes, ContentCutter(table: GearTable(secret: secret))).map {
                    sum += $0
                    return sum
                })
        }
        let first = ends(1)
        let second = ends(2)
        // By chance two sets of n cuts in m places share about n * n / m, far below one here; the
        // end of the content is a cut of both.
        #expect(first.intersection(second).count <= 2)
    }

    @Test func bytesWithoutVarietyAreCutAtTheMaximumAtWorst() {
        let cutter = ContentCutter(table: GearTable(secret: Self.secret))
        for byte in [UInt8(0), 1, 255] {
            let lengths = lengths([UInt8](repeating: byte, count: 1 << 20), cutter)
            #expect(Set(lengths).count <= 2)
            #expect(lengths.allSatisfy { $0 <= 262_144 })
        }
    }
}
