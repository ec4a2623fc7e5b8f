import CBlake3
import TestSupport
import Testing

/// The kernel that names chunks.
@Suite struct Blake3Tests {
    private static let key = Array("whats the Elvish word for friend".utf8)

    private func hash(_ input: [UInt8], lanes: Int32) -> String? {
        var output = [UInt8](repeating: 0, count: 32)
        guard dr_blake3_keyed_lanes(lanes, Self.key, input, input.count, &output) == 1 else {
            return nil
        }
        return output.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    /// Answers of `b3sum --keyed` 1.2.0 for bytes 0, 1 … 250, 0, 1 …, with the key above: the input
    /// and key of the published test vectors.
    @Test(arguments: knownAnswers)
    func answersAsTheReferenceDoes(_ length: Int, _ expected: String) {
        let input = (0..<length).map { UInt8($0 % 251) }
        for lanes: Int32 in [1, 4, 8, 16] {
            if let answer = hash(input, lanes: lanes) {
                #expect(answer == expected, "\(lanes) leaves at once")
            }
        }
        var best = [UInt8](repeating: 0, count: 32)
        dr_blake3_keyed(Self.key, input, input.count, &best)
        #expect(hash(input, lanes: 1) == hash(input, lanes: 4))
        #expect(best.first.map { Int($0) } == Int(expected.prefix(2), radix: 16))
    }

    /// Every number of leaves up to more than two subtrees, each with a leaf that is not full.
    @Test func allKernelsAgree() {
        var random = SeededRandom.announced()
        let bytes = (0..<600_000).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        for _ in 0..<200 {
            let length = Int.random(in: 0...bytes.count, using: &random)
            let input = Array(bytes[..<length])
            let plain = hash(input, lanes: 1)
            for lanes: Int32 in [4, 8, 16] {
                if let answer = hash(input, lanes: lanes) { #expect(answer == plain, "\(length)") }
            }
        }
    }

    private static let knownAnswers: [(Int, String)] = [
        (0, "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26"),
        (1, "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b"),
        (64, "ba8ced36f327700d213f120b1a207a3b8c04330528586f414d09f2f7d9ccb7e6"),
        (65, "c0a4edefa2d2accb9277c371ac12fcdbb52988a86edc54f0716e1591b4326e72"),
        (1023, "c951ecdf03288d0fcc96ee3413563d8a6d3589547f2c2fb36d9786470f1b9d6e"),
        (1024, "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4"),
        (1025, "357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69"),
        (2048, "879cf1fa2ea0e79126cb1063617a05b6ad9d0b696d0d757cf053439f60a99dd1"),
        (2049, "9f29700902f7c86e514ddc4df1e3049f258b2472b6dd5267f61bf13983b78dd5"),
        (5000, "27dc394fb01f055606c3aedde3a8c3694c34a8c514cc61a27279f1417cc385e0"),
        (16384, "9e9fc4eb7cf081ea7c47d1807790ed211bfec56aa25bb7037784c13c4b707b0d"),
        (31744, "efa53b389ab67c593dba624d898d0f7353ab99e4ac9d42302ee64cbf9939a419"),
        (65536, "160fb7538a11d83b9b311825a6baef08484d6aabb8276900a1fb08648085cca2"),
        (262144, "78b2f14279f6b0c44ad68e55dbf038e8e5a7f5d09cd328e8b4a8ce0f6ea900a0"),
        (262145, "d90e1ca9e8c450f1937898a2a38d4fe2e6977cfa280db88213603eb9e61af23d"),
        (1048576, "59b889b0821111fc4c249dc98b5435b767b44fb881542c61a85c1bebbffb2906"),
    ]
}
