import Glibc
import Model

/// A file that `vzdump` left in a directory, as its name tells.
struct ExportFile: Sendable, Hashable {
    /// Without the directory.
    var name: String
    var number: Int
    var kind: ProxmoxCluster.GuestKind
    /// As the node's clock had it: `YYYY_MM_DD-HH_MM_SS`.
    var moment: String
    var isCompressed: Bool

    /// Nil for a name that is not one of vzdump's.
    init?(_ name: String) {
        self.name = name
        let prefix = "vzdump-"
        guard name.hasPrefix(prefix) else { return nil }
        let fields = name.dropFirst(prefix.count).split(separator: "-", maxSplits: 2)
        guard fields.count == 3, let kind = ProxmoxCluster.GuestKind(rawValue: String(fields[0])),
            let number = Int(fields[1]), (3...9).contains(fields[1].count),
            !fields[1].hasPrefix("0")
        else { return nil }
        self.kind = kind
        self.number = number
        let parts = fields[2].split(separator: ".", omittingEmptySubsequences: false)
        guard let moment = parts.first, moment.count == "YYYY_MM_DD-HH_MM_SS".count,
            moment.allSatisfy({ $0.isNumber || $0 == "_" || $0 == "-" })
        else { return nil }
        self.moment = String(moment)
        let archive = kind == .qemu ? "vma" : "tar"
        switch parts.dropFirst() {
        case [archive[...]]: isCompressed = false
        case [archive[...], "gz"], [archive[...], "zst"], [archive[...], "lzo"],
            [archive[...], "bz2"]:
            isCompressed = true
        case ["tgz"] where kind == .lxc: isCompressed = true
        default: return nil
        }
    }

    /// The name without what says that it is an archive: what its log is called.
    var stem: String { "vzdump-\(kind.rawValue)-\(number)-\(moment)" }

    /// When it was made, by this machine's time zone; nil for no time at all.
    var began: Timestamp? {
        let numbers = moment.split(whereSeparator: { !$0.isNumber }).compactMap { Int32($0) }
        guard numbers.count == 6 else { return nil }
        var time = tm()
        time.tm_year = numbers[0] - 1900
        time.tm_mon = numbers[1] - 1
        time.tm_mday = numbers[2]
        time.tm_hour = numbers[3]
        time.tm_min = numbers[4]
        time.tm_sec = numbers[5]
        time.tm_isdst = -1
        let seconds = mktime(&time)
        return seconds < 0 ? nil : Timestamp(seconds: seconds, nanoseconds: 0)
    }
}
