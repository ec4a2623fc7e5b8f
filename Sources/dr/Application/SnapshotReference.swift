import Catalog
import Model
import Restore

/// A snapshot as people name it, and something in it.
struct SnapshotReference: Sendable {
    /// The id's first digits, `latest`, or `service@moment`.
    var snapshot: String
    /// What follows the first colon; nil when there is none.
    var path: String?

    init(_ text: String) {
        let halves = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        snapshot = halves.first.map(String.init) ?? ""
        path = halves.count > 1 ? String(halves[1]) : nil
    }
}

extension OpenRepository {
    /// The snapshot that is named: by the first digits of its id, by `latest`, or by a service and a
    /// moment, `site@latest`, `site@yesterday`.
    ///
    /// - Throws: `Failure` with code `usage` when there is none, or more than one.
    func snapshot(_ name: String, now: Timestamp) async throws -> SnapshotRecord {
        if let at = name.firstIndex(of: "@") {
            let moment = name[name.index(after: at)...]
            return try await snapshot(of: String(name[..<at]), at: String(moment), now: now)
        }
        if name.lowercased() == "latest" { return try await latest(now) }
        let digits = name.lowercased()
        let isPlausible = !digits.isEmpty && digits.allSatisfy { $0.isHexDigit && $0.isASCII }
        let found =
            isPlausible
            ? try await catalog.snapshots(SnapshotFilter(idPrefix: digits, limit: 5)) : []
        guard let snapshot = found.first else {
            throw Failure(
                .usage, "there is no snapshot \"\(printable(name.utf8))\"",
                hint: "dr snapshots lists them all")
        }
        guard found.count == 1 else {
            throw Self.ambiguous("more than one snapshot begins with \(digits)", found)
        }
        return snapshot
    }

    /// The only snapshot of the newest run.
    private func latest(_ now: Timestamp) async throws -> SnapshotRecord {
        let horizon = now + SnapshotRecord.clockTolerance
        var found = try await catalog.snapshots(SnapshotFilter(notAfter: horizon, limit: 1))
        if found.isEmpty { found = try await catalog.snapshots(SnapshotFilter(limit: 1)) }
        guard let newest = found.first else {
            throw Failure(
                .usage, "there is no snapshot yet", hint: "dr backup takes the first")
        }
        let run = try await catalog.snapshots(SnapshotFilter(run: newest.run))
        guard run.count == 1 else {
            throw Self.ambiguous(
                "the latest run took \(run.count) snapshots", run,
                "name the service too, for example \(newest.service)@latest")
        }
        return newest
    }

    private func snapshot(of service: String, at text: String, now: Timestamp) async throws
        -> SnapshotRecord
    {
        let all = try await catalog.snapshots()
        let own = all.filter { $0.service.text == service || $0.workload.text == service }
        guard !own.isEmpty else {
            let near = nearestName(
                to: service, among: Set(all.map(\.service.text)).sorted())
            throw Failure(
                .usage, "there is no snapshot of a service \"\(printable(service.utf8))\"",
                hint: near.map { "did you mean \"\($0)\"?" } ?? "dr snapshots lists them all")
        }
        let accepted = try await catalog.snapshots(marked: .accepted)
        let candidates: [SnapshotRecord] =
            switch try RecoveryMoment(parsing: text, now: now, among: own) {
            case .latest: Self.believed(own, now)
            case .time(let time): own.filter { $0.asOf <= time }
            case .run(let run): own.filter { $0.run == run }
            case .snapshot(let id): own.filter { $0.id == id }
            }
        // Newest first, as the catalog gives them; a suspicious one only when there is no other.
        let chosen = Dictionary(grouping: candidates, by: \.workload).values.compactMap { list in
            list.first { $0.suspicions.isEmpty || accepted.contains($0.id) } ?? list.first
        }.sorted { $0.workload < $1.workload }
        guard let first = chosen.first else {
            throw Failure(
                .usage, "\(printable(service.utf8)) has no snapshot at or before that moment",
                hint: "dr snapshots \(service) lists them")
        }
        guard chosen.count == 1 else {
            throw Self.ambiguous(
                "\(printable(service.utf8)) has several workloads with a snapshot each", chosen)
        }
        return first
    }

    /// Without those from the future, where a workload has others.
    private static func believed(
        _ snapshots: [SnapshotRecord], _ now: Timestamp
    ) -> [SnapshotRecord] {
        let believed = snapshots.filter { !$0.isFromFuture(at: now) }
        let known = Set(believed.map(\.workload))
        return snapshots.filter { !known.contains($0.workload) || !$0.isFromFuture(at: now) }
    }

    private static func ambiguous(
        _ message: String, _ snapshots: [SnapshotRecord], _ hint: String? = nil
    ) -> Failure {
        let named = snapshots.prefix(4).map { "\($0.id.short) (\($0.workload))" }
        let more = snapshots.count > 4 ? ", …" : ""
        return Failure(
            .usage, "\(message): \(named.joined(separator: ", "))\(more)",
            hint: hint ?? "write more of the id's digits")
    }
}

extension SnapshotRecord {
    /// What `text` may name in this snapshot, the literal reading first: an absolute path of the
    /// captured machine, or a part's name with a path behind it.
    ///
    /// - Throws: `Failure` with code `usage` when no part covers it.
    func places(at text: String) throws -> [SnapshotPlace] {
        let found = nameCandidates(text).compactMap { place(at: $0) }
        guard let first = found.first else {
            throw Failure(
                .usage, "snapshot \(id.short) has nothing at \"\(printable(text.utf8))\"",
                hint: parts.isEmpty
                    ? "it has no parts"
                    : "it has: \(parts.prefix(8).map(\.address).joined(separator: ", "))"
                        + (parts.count > 8 ? ", …" : ""))
        }
        return found.filter { $0.part == first.part }
    }
}

extension Application {
    /// What `text` names in the snapshot, looked up: a part, or an entry of a tree.
    ///
    /// - Throws: `Failure` with code `usage` when it has no such thing.
    func found(_ text: String, in snapshot: SnapshotRecord, _ open: OpenRepository) async throws
        -> (place: SnapshotPlace, tree: FoundSubtree?)
    {
        let places = try snapshot.places(at: text)
        guard places[0].part.kind == .tree else { return (places[0], nil) }
        let lookup = TreeLookup(repository: open.repository, index: open.index)
        guard let found = try await lookup.find(places.map(\.path), in: places[0].part) else {
            throw Failure(
                .usage,
                "snapshot \(snapshot.id.short) has no \"\(printable(text.utf8))\"",
                hint: "dr find tells which snapshots have it")
        }
        return (SnapshotPlace(part: places[0].part, path: found.path), found)
    }
}
