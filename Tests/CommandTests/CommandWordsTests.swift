import Testing

@testable import dr

@Suite("Words of a command line")
struct CommandWordsTests {
    @Test("Words come apart as a shell would take them apart")
    func split() throws {
        #expect(try CommandWords.split("pass show dr") == ["pass", "show", "dr"])
        #expect(try CommandWords.split("  a   b\t c ") == ["a", "b", "c"])
        #expect(try CommandWords.split("a 'b c' \"d e\" f\\ g") == ["a", "b c", "d e", "f g"])
        #expect(try CommandWords.split("a'b'\"c\"d") == ["abcd"])
        #expect(try CommandWords.split("a '' \"\"") == ["a", "", ""])
        #expect(try CommandWords.split("a \"b\\\"c\\\\d\\e\"") == ["a", "b\"c\\d\\e"])
        #expect(try CommandWords.split("a 'x | y > $z'") == ["a", "x | y > $z"])
        #expect(try CommandWords.split("a b~ c~d") == ["a", "b~", "c~d"])
    }

    @Test(
        "What only a shell understands is refused, not passed on",
        arguments: [
            "a | b", "a > f", "a; b", "a && b", "echo $HOME", "a \"$HOME\"", "a `b`", "(a)",
        ])
    func shell(_ line: String) {
        #expect {
            try CommandWords.split(line)
        } throws: { error in
            (error as? CommandWords.Problem)?.hint == CommandWords.shellHint
        }
    }

    @Test("Lines that are none", arguments: ["", "  ", "'a", "\"a", "a\\", "cat ~/pw", "'' a"])
    func none(_ line: String) {
        #expect(throws: CommandWords.Problem.self) { try CommandWords.split(line) }
    }

    @Test("The nearest name is the one that was meant")
    func nearest() {
        let names = ["backup", "restore", "snapshots", "report"]
        #expect(nearestName(to: "bakup", among: names) == "backup")
        #expect(nearestName(to: "backpu", among: names) == "backup")
        #expect(nearestName(to: "Restore", among: names) == "restore")
        #expect(nearestName(to: "snap", among: names) == "snapshots")
        #expect(nearestName(to: "mount", among: names) == nil)
        #expect(nearestName(to: "x", among: ["a", "b"]) == nil)
        #expect(editDistance("kitten", "sitting") == 3)
        #expect(editDistance("ab", "ba") == 1)
        #expect(editDistance("", "abc") == 3)
    }
}
