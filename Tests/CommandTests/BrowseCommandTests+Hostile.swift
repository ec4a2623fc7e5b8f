import Glibc
import Model
import TestSupport
import Testing

/// Names and targets that somebody made on purpose.
extension BrowseCommandTests {
    @Test("No name of a file speaks to the terminal")
    func escapes() async throws {
        try await with { scratch, dr in
            let names = [
                "a\u{1B}]0;owned\u{7}", "b\u{1B}[2J", "c\r\nfake line", "d\u{7F}\u{8}",
                "e\u{85}\u{9B}31m", "f\u{202E}txt", "g\u{2028}",
            ]
            try scratch.makeDirectory("www/dir\u{1B}[31m")
            for name in names { try scratch.write("www/dir\u{1B}[31m/\(name)", name) }
            #expect(symlink("to\u{1B}[31m", scratch.path("www/link")) == 0)
            #expect(try await dr.run("backup").status == 0)
            // One stays: a tree that loses everything would be suspicious.
            try scratch.write("www/stays", "as it was")
            for name in names { unlink(scratch.path("www/dir\u{1B}[31m/\(name)")) }
            #expect(try await dr.run("backup").status == 0)
            let nights = try await ids(dr)
            let www = "\(scratch.path)/www"
            for arguments in [
                ["ls", "-r", "\(nights[0]):tree/0"], ["find", "*"], ["diff", nights[0], nights[1]],
                ["dump", nights[0], "\(www)/link"], ["dump", nights[0], "\(www)/dir\u{1B}[31m"],
                ["find", "x\u{1B}[2J"], ["ls", "x\u{1B}[2J"], ["dump", nights[0], "/x\u{1B}[2J"],
                ["plan", "--path", "\(www)/dir\u{1B}[31m", "--to", "./x\u{1B}[2J/"],
                ["restore", "--path", "\(www)/dir\u{1B}[31m/\(names[0])", "--to", "./x/", "--yes"],
                ["snapshots", "--tag", "\u{1B}[2J"],
            ] {
                let isListing = ["ls", "find", "diff"].contains(arguments[0])
                for more in isListing ? [[], ["--json"]] : [[]] {
                    let outcome = try await dr.program(arguments + more).run()
                    for text in [outcome.text, outcome.errorText] {
                        let bad = text.unicodeScalars.filter {
                            ($0.value < 0x20 && $0 != "\n") || (0x7F...0x9F).contains($0.value)
                                || ["\u{202E}", "\u{2028}"].contains($0)
                        }
                        #expect(bad.isEmpty, "\(arguments + more): \(bad)")
                        #expect(!text.split(separator: "\n").contains("fake line"))
                    }
                }
            }
        }
    }

    @Test("What somebody planted where a restore writes is not followed")
    func hostileTargets() async throws {
        try await with { scratch, dr in
            try scratch.makeDirectory("www/d")
            try scratch.write("www/d/f", "good")
            try scratch.write("www/g", "good")
            #expect(try await dr.run("backup").status == 0)
            _ = try await OutsideProgram.run(["rm", "-rf", scratch.path("www")])
            let out = try scratch.makeDirectory("outside")
            try scratch.write("outside/f", "victim")
            let before = try TreeFingerprint(of: out)
            // In the place itself, and where it is put together.
            for name in ["www", ".www.dr-restoring"] {
                let kinds = [
                    ("a link", ["ln", "-s", out, name]),
                    ("a FIFO", ["mkfifo", name]),
                    ("a hard link", ["ln", "outside/f", name]),
                    (
                        "a directory of links",
                        ["bash", "-c", "mkdir \(name); ln -s \(out) \(name)/d"]
                    ),
                    ("a device", ["mknod", name, "c", "1", "3"]),
                    (
                        "a socket",
                        [
                            "python3", "-c",
                            "import socket; socket.socket(socket.AF_UNIX).bind('\(name)')",
                        ]
                    ),
                ]
                for (kind, plant) in name == "www" ? kinds[...] : kinds.prefix(4) {
                    let planted = try await OutsideProgram(plant, directory: scratch.path).run()
                    if planted.status != 0 { continue }
                    let outcome = try await dr.program(
                        ["restore", "site", "--to", "here", "--replace", "--yes", "-q"],
                        timeout: .seconds(60)
                    ).run()
                    #expect(!outcome.ranOutOfTime, "\(kind)")
                    #expect(outcome.status == 0, "\(kind): \(outcome)")
                    let back = try await OutsideProgram.run(["cat", scratch.path("www/d/f")])
                    #expect(back.text == "good", "\(kind)")
                    var after = try TreeFingerprint(of: out).entries
                    #expect(after.removeValue(forKey: ".") != nil)
                    #expect(after["f"] == before.entries["f"] || kind == "a hard link", "\(kind)")
                    #expect(Set(after.keys) == ["f"], "\(kind)")
                    _ = try await OutsideProgram(
                        ["bash", "-c", "rm -rf www* .www*"], directory: scratch.path
                    ).run()
                }
            }
            let text = try await OutsideProgram.run(["cat", "\(out)/f"])
            #expect(text.text == "victim")
        }
    }
}
