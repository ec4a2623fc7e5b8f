/// Headers and ends of archives that no program writes.
extension HostileTar {
    // MARK: Headers

    static func headers(_ out: String) -> [HostileTar] {
        [
            HostileTar("25 a wrong checksum", .refused("checksum")) {
                $0.add("f", data: [1], checksum: 1)
            },
            HostileTar("25b a wrong checksum later on", .refused("checksum")) {
                $0.add("f", data: [1])
                $0.add("g", data: [1], checksum: -7)
            },
            HostileTar("42 a long name of a gigabyte", .refused("1073741824 bytes")) {
                $0.add("././@LongLink", kind: "L", size: 1 << 30)
            },
            HostileTar("42b records of a gigabyte", .refused("1073741824 bytes")) {
                $0.add("PaxHeaders/x", kind: "x", size: 1 << 30)
            },
            HostileTar("43 a record longer than its header", .refused("wrong length")) {
                $0.pax(bytes: Array("99 path=x\n".utf8))
                $0.add("f")
            },
            HostileTar("43b a record without end", .refused("wrong length")) {
                $0.pax(bytes: Array("10 path=xyz".utf8))
                $0.add("f")
            },
            HostileTar("43c a record of length 0", .refused("wrong length")) {
                $0.pax(bytes: Array("0 path=xyz\n".utf8))
                $0.add("f")
            },
            HostileTar("43d a record without a value", .refused("no value")) {
                $0.pax(bytes: Array("7 path\n".utf8))
                $0.add("f")
            },
            HostileTar("43e a size that is no number", .refused("no number")) {
                $0.pax([("size", "-1")])
                $0.add("f")
            },
            HostileTar("43f a time that is no number", .refused("no number")) {
                $0.pax([("mtime", "1e99")])
                $0.add("f")
            },
            HostileTar("49 two extended headers", .refused("two extended headers")) {
                $0.pax([("path", "a")])
                $0.pax([("path", "b")])
                $0.add("f")
            },
            HostileTar("49b an extended header of nothing", .refused("behind an extended header")) {
                $0.pax([("path", "a")])
            },
            HostileTar("50 a global header that names", .refused("global header")) {
                $0.pax([("path", "\(out)/evil")], kind: "g")
                $0.add("f")
            },
            HostileTar("53 an unknown type", .refused("unknown type")) {
                $0.add("f", kind: "Z", data: [1])
            },
            HostileTar("61 part of several volumes", .refused("another volume")) {
                $0.add("f", kind: "M", data: [1])
            },
            HostileTar("48 an entry without a name", .refused("no name")) { $0.add("") },
            HostileTar("48b the root as a file", .entries(1)) { $0.add("./", data: []) },
            HostileTar("a number that is none", .refused("owner is no number")) {
                $0.add("f", raw: [(108, Array("zzzzzzz".utf8))])
            },
            HostileTar("27 a deep path", .harmless(dropped: 0)) {
                let directory = String(repeating: "d", count: 250) + "/"
                $0.pax([("path", String(repeating: directory, count: 30) + "f")])
                $0.add("f", data: [1])
            },
            HostileTar("28 huge owners and times", .harmless(dropped: 0), leaves: ["f f"]) {
                $0.pax([("uid", "4294967290"), ("gid", "4294967290"), ("mtime", "99999999999")])
                $0.add("f", data: [1])
            },
            HostileTar("31 twice the same name", .harmless(dropped: 1), leaves: ["f f"]) {
                $0.add("f", data: [1])
                $0.add("f", data: [2, 2])
            },
            HostileTar("32 a directory that was a file", .harmless(dropped: 0), leaves: ["f d/x"]) {
                $0.add("d", data: [1])
                $0.add("d/", kind: "5", mode: 0o755)
                $0.add("d/x", data: [2])
            },
        ]
    }

    // MARK: Ends

    static func ends(_ out: String) -> [HostileTar] {
        [
            HostileTar("34 cut off in a file", .refused("ends within"), ends: false) {
                $0.append(
                    TarBytes.header(
                        Array("f".utf8), "0", "", 5000, 0o644, 0, 0, (0, 0), "ustar\u{0}00", [], 0))
                $0.append(Array(repeating: 1, count: 1000))
            },
            HostileTar("35 cut off in a header", .refused("ends within a block"), ends: false) {
                $0.add("f", data: [1])
                $0.append(Array(repeating: 65, count: 100))
            },
            HostileTar("36 no end mark", .refused("without its end mark"), ends: false) {
                $0.add("f", data: [1])
            },
            HostileTar(
                "36b no end mark, behind a file of zeros", .refused("without its end mark"),
                ends: false
            ) {
                $0.add("f", data: Array(repeating: 0, count: 4096))
            },
            HostileTar("37 half an end mark", .refused("half of its end mark"), ends: false) {
                $0.add("f", data: [1])
                $0.append(Array(repeating: 0, count: 512))
            },
            HostileTar("38 nothing at all", .refused("it is empty"), ends: false) { _ in },
            HostileTar("52 a block of zeros in between", .refused("single block of zeros")) {
                $0.add("f", data: [1])
                $0.append(Array(repeating: 0, count: 512))
                $0.add("g", data: [1])
            },
            HostileTar("51 something behind the end", .refused("something follows"), ends: false) {
                $0.add("f", data: [1])
                $0.end()
                $0.add("../outside/evil", data: [1])
            },
            HostileTar("51b an archive behind the end", .refused("something follows"), ends: false)
            {
                $0.end()
                $0.add("f", data: [1])
                $0.end()
            },
            HostileTar("no archive", .refused("checksum"), ends: false) {
                $0.append(Array("this is no archive, only text\n".utf8))
                $0.append(Array(repeating: 46, count: 2000))
            },
        ]
    }
}
