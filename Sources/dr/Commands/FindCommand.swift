import ArgumentParser
import Catalog
import Model
import Repository
import Restore

/// `dr find`.
struct FindCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "find", abstract: "Find files in all snapshots, with their versions.",
        discussion: """
            "dr find nginx.conf" looks for a name, "dr find '*.conf'" for a pattern, \
            "dr find /srv/www/index.html" for a path, "dr find 'conf.d/*'" for the end of one. \
            Equal versions of a file are told once, with the snapshots that hold them.
            """)

    @Argument(help: "A name, a path, or a pattern with *, ? and [a-z]; ** crosses directories.")
    var pattern: String

    @Argument(help: ArgumentHelp("Only snapshots of these services.", valueName: "service"))
    var services: [String] = []

    @Option(
        name: .customLong("snapshot"), parsing: .singleValue,
        help: ArgumentHelp("Only this snapshot; can be repeated.", valueName: "id"))
    var snapshots: [String] = []

    @Option(
        help: ArgumentHelp(
            "Only the newest snapshot of each workload at this moment, or one recovery point.",
            valueName: "moment"))
    var at: String?

    @Flag(help: "Only the newest version of each file.")
    var newest = false

    @Flag(name: .customLong("contains"), help: "Any path that holds these very bytes.")
    var isContaining = false

    @Flag(name: [.customLong("ignore-case"), .customShort("i")], help: "A is a, for ASCII.")
    var ignoresCase = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if at != nil, !snapshots.isEmpty {
            throw ValidationError("--at and --snapshot exclude each other")
        }
    }

    func run(in application: Application) async throws -> ExitCode {
        let wanted = try NamePattern(
            pattern, containing: isContaining, ignoresCase: ignoresCase)
        let open = try await application.open(try await application.configuration())
        let chosen = try await chosen(open, now: application.now)
        let (output, newest) = (application.output, newest)
        let (damage, found) = try await blockingWork { check in
            var found = 0
            var workload: WorkloadID?
            let reader = open.repository.makeReader(index: open.index, cache: ByteCount(64 << 20))
            let search = SnapshotSearch(reader: reader) {
                try check()
                return wanted.matches($0, $1)
            }
            let damage = try search.search(chosen) { match in
                found += 1
                output.present(
                    FoundMatch(
                        match: match, snapshots: chosen, onlyNewest: newest,
                        isFirst: workload != match.workload))
                workload = match.workload
            }
            return (damage, found)
        }
        for item in damage {
            output.failure(
                Failure(
                    .damaged,
                    "snapshot \(item.snapshot.id.short): \(item.part): "
                        + Failure(wrapping: item.error).description,
                    hint: "what lies behind the damage was not looked through",
                    side: .repository))
        }
        if found == 0 {
            let count = chosen.count == 1 ? "1 snapshot" : "\(chosen.count) snapshots"
            output.note(StyledText("nothing called \(pattern) in \(count)"))
        }
        return damage.isEmpty ? .done : .damaged
    }

    /// The snapshots to look through, oldest first.
    private func chosen(_ open: OpenRepository, now: Timestamp) async throws -> [SnapshotRecord] {
        if !snapshots.isEmpty {
            var chosen: [SnapshotRecord] = []
            for name in snapshots {
                let snapshot = try await open.snapshot(name, now: now)
                if !chosen.contains(where: { $0.id == snapshot.id }) { chosen.append(snapshot) }
            }
            return chosen.sorted { ($0.asOf, $0.id) < ($1.asOf, $1.id) }
        }
        let all = try await open.catalog.snapshots()
        let known = Set(all.map(\.service.text))
        for name in services where !known.contains(name) {
            let near = nearestName(to: name, among: known.sorted())
            throw Failure(
                .usage, "there is no snapshot of a service \"\(printable(name.utf8))\"",
                hint: near.map { "did you mean \"\($0)\"?" } ?? "dr snapshots lists them all")
        }
        let own = Array(
            all.filter { services.isEmpty || services.contains($0.service.text) }.reversed())
        guard let at else { return own }
        func newestOfEach(_ snapshots: [SnapshotRecord]) -> [SnapshotRecord] {
            var newest: [WorkloadID: SnapshotRecord] = [:]
            for snapshot in snapshots { newest[snapshot.workload] = snapshot }
            return snapshots.filter { newest[$0.workload]?.id == $0.id }
        }
        return switch try RecoveryMoment(parsing: at, now: now, among: own) {
        case .latest: newestOfEach(own)
        case .time(let time): newestOfEach(own.filter { $0.asOf <= time })
        case .run(let run): own.filter { $0.run == run }
        case .snapshot(let id): own.filter { $0.id == id }
        }
    }
}

/// One thing that was found, for people and programs.
private struct FoundMatch: Presentable {
    var match: SearchMatch
    /// Those that were searched, oldest first.
    var snapshots: [SnapshotRecord]
    var onlyNewest: Bool
    /// The first of its workload.
    var isFirst: Bool

    private var versions: ArraySlice<SearchMatch.Version> {
        match.versions.prefix(onlyNewest ? 1 : match.versions.count)
    }

    var json: JSONValue {
        let service = snapshots.first { $0.workload == match.workload }?.service
        let numbers = match.versions.flatMap(\.snapshots)
        var members = [
            JSONMember("message_type", "match"),
            JSONMember("service", .string(service?.text ?? "")),
            JSONMember("workload", .string(match.workload.text)),
            JSONMember("part", .string(match.part)),
        ]
        members += pathMembers(match.path)
        members += [
            JSONMember("snapshots", .integer(Int64(numbers.count))),
            JSONMember("first", time(numbers.min())), JSONMember("last", time(numbers.max())),
            JSONMember("versions", .array(versions.map(document))),
        ]
        return .object(members)
    }

    private func time(_ number: Int?) -> JSONValue {
        number.map { .string("\(snapshots[$0].asOf)") } ?? .null
    }

    private func document(_ version: SearchMatch.Version) -> JSONValue {
        let entry = version.entry
        return .members([
            "type": match.isPart ? nil : .string("\(entry.type)"),
            "size": .integer(Int64(clamping: entry.size)),
            "modified": match.isPart ? nil : .string("\(entry.modified)"),
            "mode": match.isPart ? nil : .string(entry.octalMode),
            "uid": match.isPart ? nil : .integer(Int64(entry.userID)),
            "gid": match.isPart ? nil : .integer(Int64(entry.groupID)),
            "target": entry.type == .symlink
                ? .string(String(decoding: entry.linkTarget, as: UTF8.self)) : nil,
            "first": time(version.snapshots.first), "last": time(version.snapshots.last),
            "snapshots": .array(version.snapshots.map { .string("\(snapshots[$0].id)") }),
        ])
    }

    func write(to page: inout Page) {
        if isFirst { page.line(StyledText(match.workload.text, .strong)) }
        let isDirectory = match.versions.first?.entry.type == .directory
        let name = printable(match.path) + (isDirectory ? "/" : "")
        let count = match.versions.count
        let numbers = match.versions.flatMap(\.snapshots)
        page.line(
            StyledText(name)
                + StyledText(
                    "  in \(range(numbers))" + (count > 1 ? ", \(count) versions" : ""), .dim))
        for version in versions {
            let entry = version.entry
            let arrow = entry.type == .symlink ? "  -> \(printable(entry.linkTarget))" : ""
            let facts =
                match.isPart
                ? "\(ByteCount(entry.size))"
                : "\(entry.columns)  \(entry.modified.shortDescription)"
            let newest = version.snapshots.last.map { snapshots[$0].id.short } ?? ""
            page.line(
                StyledText("  \(facts)\(arrow)  ") + StyledText(newest, .good)
                    + StyledText(count > 1 ? "  \(range(version.snapshots))" : "", .dim))
        }
    }

    /// `12 snapshots, 2026-10-01 … 2026-11-20`.
    private func range(_ numbers: [Int]) -> String {
        let words = numbers.count == 1 ? "1 snapshot" : "\(numbers.count) snapshots"
        guard let first = numbers.min(), let last = numbers.max() else { return words }
        let days = [first, last].map { String("\(snapshots[$0].asOf)".prefix(10)) }
        return days[0] == days[1] ? "\(words), \(days[0])" : "\(words), \(days[0]) … \(days[1])"
    }
}
