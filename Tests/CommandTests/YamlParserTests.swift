import Model
import TestSupport
import Testing

@testable import dr

@Suite("YAML from hostile hands")
struct YamlParserTests {
    @Test("Aliases of aliases are counted before they cost anything", .timeLimit(.minutes(1)))
    func aliasBomb() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...30 {
            let items = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(items)]\n"
        }
        let complaints = ConfigurationFixture.complaints(text)
        #expect(complaints.count == 1)
        #expect(
            complaints.first?.hasSuffix("the file holds more than 50000 values, aliases counted")
                == true)
    }

    @Test("Nesting ends where no configuration goes")
    func depth() {
        let text = "a: " + String(repeating: "[", count: 200)
        let complaints = ConfigurationFixture.complaints(text)
        #expect(complaints == ["dr.yaml:1:35: nested more than 32 levels deep"])
    }

    @Test("Whatever is damaged, the answer is a configuration or a complaint with its place")
    func damaged() {
        let seed = TestEnvironment.seed
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        func next(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }
        let good = Array(ConfigurationReference.example.joined(separator: "\n").utf8)
        let spice = Array("\t\n:-[]{}&*!|>'\"%@`#?,~\0\u{FF}äx 1".utf8)
        for _ in 0..<3000 {
            var bytes = good
            for _ in 0...next(4) {
                let place = next(bytes.count)
                switch next(4) {
                case 0: bytes[place] = spice[next(spice.count)]
                case 1: bytes.insert(spice[next(spice.count)], at: place)
                case 2: bytes.remove(at: place)
                default: bytes = Array(bytes[..<place]) + bytes[next(bytes.count)...]
                }
                if bytes.isEmpty { bytes = [0x61] }
            }
            for complaint in ConfigurationFixture.complaints(bytes) {
                #expect(complaint.hasPrefix("dr.yaml:"), "seed \(seed): \(complaint)")
                #expect(
                    complaint.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } || complaint.isEmpty,
                    "seed \(seed): \(complaint)")
            }
        }
    }
}
