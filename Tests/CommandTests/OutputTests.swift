import Model
import Testing

@testable import dr

@Suite("What people and programs get to read")
struct OutputTests {
    @Test("Columns line up, whatever is in them")
    func table() {
        var table = Table(.left("SERVICE"), .right("SIZE"), .left("STATE"))
        table.add("umami-db", "1.4 GiB", StyledText("good", .good))
        table.add("größe", "12 B", "")
        table.add("日本", "3.0 KiB", "partial")
        let lines = table.lines(width: nil).map { $0.rendered(coloured: false) }
        #expect(
            lines == [
                "SERVICE      SIZE  STATE",
                "umami-db  1.4 GiB  good",
                "größe        12 B",
                "日本      3.0 KiB  partial",
            ])
    }

    @Test("A narrow terminal cuts the column that can be cut, and only there")
    func narrow() {
        var table = Table(.left("ID"), .flexible("NOTE"), .right("SIZE"))
        table.add("0123abcd", "the container was not running when it was captured", "12 B")
        let narrow = table.lines(width: 40).map { $0.rendered(coloured: false) }
        #expect(narrow[1] == "0123abcd  the container was not r…  12 B")
        #expect(narrow.allSatisfy { columns(of: $0) <= 40 })
        let wide = table.lines(width: nil).map { $0.rendered(coloured: false) }
        #expect(wide[1].contains("captured  12 B"))
    }

    @Test("A terminal never gets a control sequence from a name")
    func hostileNames() {
        let name = "a\u{1B}[31m\u{7}\u{9B}\u{202E}b\nc\r"
        let text = StyledText(name, .bad).rendered(coloured: true)
        #expect(text.hasPrefix("\u{1B}[31m") && text.hasSuffix("\u{1B}[0m"))
        let inner = text.dropFirst(5).dropLast(4)
        #expect(inner == "a\\x1b[31m\\x07\\xc2\\x9b\\xe2\\x80\\xaeb\\x0ac\\x0d")
        let json = JSONValue.string(name).line
        #expect(json == #""a\u001b[31m\u0007\u009b\u202eb\nc\r""#)
    }

    @Test("Without colours a text is only its text")
    func colours() {
        let text: StyledText = StyledText("ok", .good) + " and " + StyledText("bad", .bad)
        #expect(text.rendered(coloured: false) == "ok and bad")
        #expect(text.width == 10)
        #expect(text.truncated(to: 5).rendered(coloured: false) == "ok a…")
    }

    @Test("Widths of what a terminal shows")
    func widths() {
        #expect(columns(of: "abc") == 3)
        #expect(columns(of: "äöü") == 3)
        #expect(columns(of: "e\u{301}") == 1)
        #expect(columns(of: "한글") == 4)
        #expect(truncated("日本語", to: 4) == "日…")
        #expect(truncated("abc", to: 3) == "abc")
        #expect(truncated("abcd", to: 1) == "…")
        #expect(truncated("abcd", to: 0) == "")
    }

    @Test("JSON keeps its order, its numbers and its strings")
    func json() {
        let value: JSONValue = [
            "b": 1, "a": [true, .null, .number(1.5), .number(3600)], "t": "ä \"x\" \\ \t",
            "o": [:], "e": [],
        ]
        #expect(
            value.line == #"{"b":1,"a":[true,null,1.5,3600],"t":"ä \"x\" \\ \t","o":{},"e":[]}"#)
        #expect(JSONValue.members(["x": nil, "y": 2]).line == #"{"y":2}"#)
        #expect(JSONValue.number(.infinity).line == "null")
    }

    @Test("YAML quotes what it would otherwise take for something else")
    func yaml() {
        let value: JSONValue = [
            "plain": "/srv/www-1.0", "norway": "no", "number": "12", "span": "1h30m",
            "exponent": "1e3", "empty": "", "list": ["a b", "c"],
            "deep": ["key": ["x": 1]],
        ]
        #expect(
            value.yaml == """
                plain: /srv/www-1.0
                norway: "no"
                number: "12"
                span: 1h30m
                exponent: "1e3"
                empty: ""
                list: ["a b", c]
                deep:
                  key:
                    x: 1

                """)
    }
}
