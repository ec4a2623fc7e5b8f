import Crypto
import Model
import Repository
import TestSupport
import Testing

/// Whoever sees sizes must not learn which known file is inside: each repository cuts elsewhere.
@Suite struct CutFingerprintTests {
    private func cuts(_ bytes: [UInt8], _ cutter: ContentCutter) -> Set<Int> {
        var cuts: Set<Int> = []
        bytes.withUnsafeBytes { whole in
            var start = 0
            while start < whole.count {
                start += cutter.cut(UnsafeRawBufferPointer(rebasing: whole[start...]))
                if start < whole.count { cuts.insert(start) }
            }
        }
        return cuts
    }

    /// Most cuts that two rules with nothing in common share, but for one time in a million.
    ///
    /// Shared cuts are rare and independent: a Poisson variable. Two cutters fall into step after a
    /// shared cut no more often than by chance, because the next one depends on the secret again.
    private func limit(_ left: Int, _ right: Int, length: Int) -> Int {
        let mean = Double(left) * Double(right) / Double(length)
        var count = 0
        var term = 1.0
        var tail = 1.0
        // P(X > count) <= mean^(count + 1) / (count + 1)!
        while tail > 1e-6 {
            count += 1
            term *= mean / Double(count)
            tail = term
        }
        return count
    }

    @Test("Two repositories cut the same content at places that have nothing in common")
    func overlap() {
        var random = SeededRandom.announced()
        let pairs = TestEnvironment.isFull ? 20 : 3
        var shared = 0
        var all = 0
        for _ in 0..<pairs {
            let left = ContentCutter(table: GearTable(secret: SymmetricKey(size: .bits256)))
            let right = ContentCutter(table: GearTable(secret: SymmetricKey(size: .bits256)))
            let text = random.text(12 << 20)
            // What changes one byte in a hundred: neither random nor of one pattern.
            var binary = [UInt8](repeating: 0, count: 12 << 20)
            for index in binary.indices where random.next() % 100 == 0 {
                binary[index] = UInt8(truncatingIfNeeded: random.next())
            }
            for content in [random.bytes(12 << 20), text, binary] {
                let (mine, other) = (cuts(content, left), cuts(content, right))
                let common = mine.intersection(other).count
                all += mine.count
                shared += common
                #expect(
                    common <= limit(mine.count, other.count, length: content.count),
                    "\(common) of \(mine.count) and \(other.count) cuts are the same")
                // The same secret cuts at the same places: the measure can tell.
                #expect(cuts(content, left) == mine)
            }
        }
        print("\(pairs) pairs of secrets: \(shared) of \(all) cuts shared")
    }

    @Test("Two repositories give the same content packs of other sizes and chunks of other names")
    func names() async throws {
        var random = SeededRandom.announced()
        let content = random.bytes(8 << 20)
        var names: [Set<ChunkID>] = []
        var lengths: [[UInt64]] = []
        for _ in 0..<2 {
            let fixture = try await RepositoryFixture()
            let reference = try await fixture.write([content])[0]
            var found: [ChunkReference] = []
            try fixture.repository.makeReader(index: fixture.index)
                .forEachLeaf(reference) { found += $0 }
            names.append(Set(found.map(\.id)))
            lengths.append(found.map(\.length))
        }
        #expect(names[0].isDisjoint(with: names[1]))
        #expect(lengths[0] != lengths[1])
        #expect(Set(lengths[0]).intersection(lengths[1]).count * 20 < lengths[0].count)
    }
}
