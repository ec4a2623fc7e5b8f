import Model
import Testing

@testable import dr

/// Every mistake has its place, one plain sentence and what to do, word for word.
@Suite("dr.yaml, with mistakes")
struct ConfigurationErrorTests {
    @Test("Keys and values", arguments: ConfigurationMistake.ofMeaning)
    func meaning(_ example: ConfigurationMistake) {
        #expect(ConfigurationFixture.complaints(example.text) == example.complaints)
    }

    @Test("YAML itself", arguments: ConfigurationMistake.ofSyntax)
    func syntax(_ example: ConfigurationMistake) {
        #expect(ConfigurationFixture.complaints(example.text) == example.complaints)
    }

    @Test("Files in other encodings")
    func encodings() {
        let text = "repository: /r\n"
        var utf16: [UInt8] = [0xFF, 0xFE]
        var bare: [UInt8] = []
        for byte in text.utf8 {
            utf16 += [byte, 0]
            bare += [0, byte]
        }
        for bytes in [utf16, bare] {
            #expect(
                ConfigurationFixture.complaints(bytes)
                    == ["dr.yaml:1:1: the file is UTF-16, not UTF-8 | save it as UTF-8"])
        }
        #expect(
            ConfigurationFixture.complaints(Array("repository: /caf".utf8) + [0xE9, 0x0A])
                == [
                    "dr.yaml:1:17: the byte 0xe9 is not UTF-8 text | save the file as UTF-8"
                ])
        #expect(
            ConfigurationFixture.complaints("repository: /ä\na: \u{1B}[31m")
                == [
                    "dr.yaml:2:4: the control character U+001B is not allowed"
                        + " | remove it, or write it as \\x.. in double quotes"
                ])
        #expect(
            ConfigurationFixture.complaints("repository: /r\0")
                == [
                    "dr.yaml:1:15: the control character U+0000 is not allowed"
                        + " | remove it, or write it as \\x.. in double quotes"
                ])
    }

    @Test("At most twenty mistakes are shown, and the others are counted")
    func manyMistakes() {
        let text = "repository: /r\n" + (1...30).map { "zzzz\($0): 1\n" }.joined()
        let complaints = ConfigurationFixture.complaints(text)
        #expect(complaints.count == 21)
        #expect(
            complaints.last
                == "dr.yaml: 10 more problems"
                + " | mend those above, then run dr config check again")
    }
}
