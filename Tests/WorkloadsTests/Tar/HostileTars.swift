/// An archive that somebody made to do harm, or that is broken, and what must become of it.
struct HostileTar: Sendable, CustomStringConvertible {
    enum Verdict: Sendable {
        /// The archive as a whole is refused; the reason holds these words.
        case refused(String)
        /// So many entries are refused, the rest comes back.
        case entries(Int)
        /// All of it comes back, with so many things dropped and counted.
        case harmless(dropped: Int)
    }

    var name: String
    var verdict: Verdict
    var bytes: [UInt8]
    /// Paths that must be in the target afterwards, with their type's letter, for example `f d/x`.
    var leaves: [String] = []

    var description: String { name }

    init(
        _ name: String, _ verdict: Verdict, leaves: [String] = [], ends: Bool = true,
        _ build: (inout TarBytes) -> Void
    ) {
        self.name = name
        self.verdict = verdict
        self.leaves = leaves
        var tar = TarBytes()
        build(&tar)
        if ends { tar.end() }
        bytes = tar.bytes
    }

    /// - Parameter out: A directory outside of the target, which holds the file `victim`.
    static func all(outside out: String) -> [HostileTar] {
        names(out) + links(out) + privileges(out) + sizes(out) + headers(out) + ends(out)
    }

    // MARK: Names that lead out

    static func names(_ out: String) -> [HostileTar] {
        [
            HostileTar("01 absolute name", .entries(1)) { $0.add("\(out)/evil", data: [1]) },
            HostileTar("02 climbing name", .entries(1)) {
                $0.add("../outside/evil", data: [1])
            },
            HostileTar("03 climbing within a name", .entries(1)) {
                $0.add("a/b/../../../outside/evil", data: [1])
            },
            HostileTar("19 climbing name in a record", .entries(1)) {
                $0.pax([("path", "../outside/evil")])
                $0.add("good", data: [1])
            },
            HostileTar("20 absolute name in a record", .entries(1)) {
                $0.pax([("path", "\(out)/evil")])
                $0.add("good", data: [1])
            },
            HostileTar("21 record that links out", .entries(1)) {
                $0.pax([("linkpath", "\(out)/victim")])
                $0.add("h", kind: "1", link: "good")
            },
            HostileTar("41 long name that climbs", .entries(1)) {
                $0.long("x/../../outside/" + String(repeating: "e", count: 120))
                $0.add("good", data: [1])
            },
            HostileTar("41b long link that leads out", .entries(1)) {
                $0.long(out + "/victim", kind: "K")
                $0.add("h", kind: "1", link: "good")
            },
            HostileTar("47 zero byte in a record's name", .entries(1)) {
                $0.pax([("path", "good\u{0}/../../outside/evil")])
                $0.add("good", data: [1])
            },
            HostileTar("23 terminal's language in a name", .entries(1), leaves: ["f a\u{1B}[31m"]) {
                $0.add("a\u{1B}[31m", data: [1])
                $0.add("../\u{1B}]0;owned\u{7}", data: [1])
            },
            HostileTar("climbing directory", .entries(1)) { $0.add("../outside/d/", kind: "5") },
            HostileTar("prefix field that climbs", .entries(1)) {
                $0.add("evil", data: [1], raw: [(345, Array("../outside".utf8))])
            },
            HostileTar("sparse name that climbs", .entries(1)) {
                $0.pax([
                    ("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"),
                    ("GNU.sparse.name", "../outside/evil"), ("GNU.sparse.realsize", "0"),
                ])
                $0.add("good", data: Array("0\n".utf8) + Array(repeating: 0, count: 510))
            },
        ]
    }

    // MARK: Links

    static func links(_ out: String) -> [HostileTar] {
        [
            HostileTar("04 through a link to a directory", .entries(1)) {
                $0.add("l", kind: "2", link: out)
                $0.add("l/evil", data: [1])
            },
            HostileTar("05 through a chain of links", .entries(2)) {
                $0.add("a", kind: "2", link: "b")
                $0.add("b", kind: "2", link: out)
                $0.add("a/evil", data: [1])
                $0.add("b/deep/evil", data: [1])
            },
            HostileTar("06 directory that becomes a link", .entries(1)) {
                $0.add("d/", kind: "5", mode: 0o755)
                $0.add("d", kind: "2", link: out)
                $0.add("d/evil", data: [1])
            },
            HostileTar("06b full directory that becomes a link", .entries(1), leaves: ["f d/y"]) {
                $0.add("d/", kind: "5", mode: 0o755)
                $0.add("d/x", data: [1])
                $0.add("d", kind: "2", link: out)
                $0.add("d/y", data: [1])
            },
            HostileTar("07 link that climbs", .entries(1)) {
                $0.add("d/", kind: "5", mode: 0o755)
                $0.add("d/up", kind: "2", link: "../../outside")
                $0.add("d/up/evil", data: [1])
            },
            HostileTar("08 link that becomes a directory", .harmless(dropped: 0), leaves: ["f l/x"])
            {
                $0.add("l", kind: "2", link: out)
                $0.add("l/", kind: "5", mode: 0o755)
                $0.add("l/x", data: [1])
            },
            HostileTar("09 hard link to an absolute path", .entries(1)) {
                $0.add("h", kind: "1", link: "\(out)/victim")
                $0.add("h", data: [9])
            },
            HostileTar("10 hard link that climbs", .entries(1)) {
                $0.add("h", kind: "1", link: "../outside/victim")
            },
            HostileTar("11 hard link to a link that leads out, written to", .harmless(dropped: 1)) {
                $0.add("l", kind: "2", link: "\(out)/victim")
                $0.add("h", kind: "1", link: "l")
                $0.add("h", data: [9])
            },
            HostileTar("11b hard link through a link", .entries(1)) {
                $0.add("l", kind: "2", link: out)
                $0.add("h", kind: "1", link: "l/victim")
            },
            HostileTar("12 mode, owner and time of a link", .harmless(dropped: 0), leaves: ["l l"])
            {
                $0.add("l", kind: "2", link: "\(out)/victim", mode: 0o777, owner: 1234)
            },
            HostileTar("33 mode of a file that becomes a link", .harmless(dropped: 1)) {
                $0.add("f", data: [1], mode: 0o600)
                $0.add("f", kind: "2", link: "\(out)/victim", mode: 0o4777, owner: 1234)
            },
            HostileTar("13 a path longer than a path can be, of links", .entries(2)) { tar in
                // CVE-2025-4517: links are resolved until the path is too long to be checked.
                let long = String(repeating: "d", count: 247)
                var base = ""
                for letter in "abcdefghijklmnop" {
                    tar.pax([("path", base + long)])
                    tar.add("x", kind: "5", mode: 0o755)
                    tar.pax([("path", base + String(letter))])
                    tar.add("x", kind: "2", link: long)
                    base += long + "/"
                }
                let short = "abcdefghijklmnop".map(String.init).joined(separator: "/")
                tar.pax([("path", short + "/" + String(repeating: "l", count: 254))])
                tar.add("x", kind: "2", link: String(repeating: "../", count: 16))
                tar.pax([("path", "escape")])
                tar.add(
                    "x", kind: "2",
                    link: short + "/" + String(repeating: "l", count: 254) + "/../outside")
                tar.add("escape/evil", data: [1])
            },
            HostileTar("hard link to a directory", .entries(1)) {
                $0.add("d/", kind: "5", mode: 0o755)
                $0.add("h", kind: "1", link: "d")
            },
            HostileTar("hard link to what comes later", .entries(1)) {
                $0.add("h", kind: "1", link: "later")
                $0.add("later", data: [1])
            },
            HostileTar("link that leads nowhere", .entries(1)) { $0.add("l", kind: "2") },
            HostileTar("file through a file", .entries(1)) {
                $0.add("f", data: [1])
                $0.add("f/evil", data: [1])
            },
        ]
    }

    // MARK: Privileges

    static func privileges(_ out: String) -> [HostileTar] {
        [
            HostileTar("15 character device", .harmless(dropped: 1)) {
                $0.add("null", kind: "3", mode: 0o666, device: (1, 3))
            },
            HostileTar("16 block device", .harmless(dropped: 1)) {
                $0.add("disk", kind: "4", mode: 0o666, device: (8, 0))
            },
            HostileTar(
                "18 setuid and setgid", .harmless(dropped: 1), leaves: ["f s", "f g", "d d"]
            ) {
                $0.add("s", data: [1], mode: 0o4755)
                $0.add("g", data: [1], mode: 0o2755)
                $0.add("d/", kind: "5", mode: 0o6777)
            },
            HostileTar("30 privileged attributes", .harmless(dropped: 1), leaves: ["f x"]) {
                $0.pax([
                    ("SCHILY.xattr.trusted.overlay.opaque", "y"),
                    ("SCHILY.xattr.security.capability", "\u{1}\u{0}\u{0}\u{2}"),
                    ("RHT.security.selinux", "system_u:object_r:bin_t:s0"),
                    ("SCHILY.xattr.user.good", "yes"),
                ])
                $0.add("x", data: [1])
            },
            HostileTar("17 a FIFO, written to", .harmless(dropped: 1), leaves: ["f p"]) {
                $0.add("p", kind: "6")
                $0.add("p", data: [1])
            },
            HostileTar("17b a FIFO", .harmless(dropped: 0), leaves: ["p p"]) {
                $0.add("p", kind: "6")
            },
            HostileTar("hard link to a dropped device", .entries(1)) {
                $0.add("null", kind: "3", device: (1, 3))
                $0.add("h", kind: "1", link: "null")
            },
        ]
    }

    // MARK: Sizes

    static func sizes(_ out: String) -> [HostileTar] {
        func sparse(_ map: String, real: String, data: [UInt8]) -> (inout TarBytes) -> Void {
            return { tar in
                tar.pax([
                    ("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"),
                    ("GNU.sparse.name", "s"), ("GNU.sparse.realsize", real),
                ])
                let text = Array(map.utf8)
                tar.add(
                    "GNUSparseFile.0/s",
                    data: text + Array(repeating: 0, count: 512 - text.count % 512) + data)
            }
        }
        return [
            HostileTar("22 more data promised than there is", .refused("ends within a file")) {
                $0.add("f", data: [1, 2, 3], size: 100_000)
            },
            HostileTar("24 a size of exabytes", .refused("ends within a file")) {
                $0.add(
                    "f", data: [1],
                    raw: [(124, [0x80, 0, 0, 0, 0x3F] + [255, 255, 255, 255, 255, 255, 255])])
            },
            HostileTar("24b a size beyond numbers", .refused("size is no number")) {
                $0.add("f", data: [1], raw: [(124, [0x80] + Array(repeating: 255, count: 11))])
            },
            HostileTar("26 a negative size", .refused("size is negative")) {
                $0.add("f", data: [1], raw: [(124, Array(repeating: 255, count: 12))])
            },
            HostileTar(
                "29 a sparse bomb", .harmless(dropped: 0), leaves: ["f s"],
                sparse("1\n8796093022208\n0\n", real: "8796093022208", data: [])),
            HostileTar(
                "29b a sparse bomb too large for any file", .refused("says that it has"),
                sparse("0\n", real: "18446744073709551615", data: [])),
            HostileTar(
                "44 a map that leads out of the file", .refused("leads out of the file"),
                sparse("1\n1000\n512\n", real: "1100", data: Array(repeating: 1, count: 512))),
            HostileTar(
                "45 a map of fewer bytes than stored", .refused("does not fit"),
                sparse("1\n0\n10\n", real: "1000", data: Array(repeating: 1, count: 512))),
            HostileTar(
                "46 a map that goes back", .refused("leads out of the file"),
                sparse(
                    "2\n512\n512\n0\n512\n", real: "2000", data: Array(repeating: 1, count: 1024))),
            HostileTar(
                "46b a map without end", .refused("too many entries"),
                sparse("99999999999\n", real: "2000", data: [])),
            HostileTar(
                "46c a map that overflows", .refused("leads out of the file"),
                sparse("1\n18446744073709551615\n2\n", real: "2000", data: [1, 2])),
            HostileTar(
                "39 another archive in a file whose header says 0", .harmless(dropped: 0),
                leaves: ["f outer"]
            ) { tar in
                // CVE-2025-62518: whoever trusts the header goes on reading in the inner archive.
                var inner = TarBytes()
                inner.add("inner-evil", data: [1])
                inner.end()
                tar.pax([("size", "\(inner.bytes.count)")])
                tar.add("outer", size: 0)
                tar.append(inner.bytes)
            },
            HostileTar("40 a record that says less than the header", .refused("checksum")) {
                $0.pax([("size", "0")])
                $0.add("f", data: Array(repeating: 1, count: 1000))
            },
            HostileTar("55 a directory with data", .refused("its type cannot have")) {
                $0.add("d/", kind: "5", data: Array(repeating: 1, count: 600))
            },
            HostileTar("54 a hard link with data", .refused("its type cannot have")) {
                $0.add("f", data: [1])
                $0.add("h", kind: "1", link: "f", data: [2])
            },
            HostileTar("55b a link with data", .refused("its type cannot have")) {
                $0.add("l", kind: "2", link: "x", data: [2])
            },
        ]
    }
}
