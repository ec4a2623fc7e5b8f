import CLinux
import Engine
import Glibc
public import Model
import Synchronization

/// Captures one live SQLite database through SQLite's own backup interface.
public struct SQLiteDriver: WorkloadDriver {
    public let kind = WorkloadKind.sqlite
    static let part = "database"
    static let document = "database.json"
    private static let companions = ["-wal", "-shm", "-journal"]

    public init() {}

    public func capture(
        _ workload: WorkloadSpecification, of service: Service, into sink: any CaptureSink,
        context: WorkloadContext
    ) async throws -> CaptureOutcome {
        guard case .sqlite(let sqlite) = workload else {
            throw Failure(.usage, "service \(service.name): no database to capture")
        }
        let path = sqlite.path
        let copy = try await BlockingPool.shared.run { try SQLiteCopy(of: path) }
        do {
            let outcome = try await store(copy, of: service, into: sink)
            try await BlockingPool.shared.run { copy.remove() }
            return outcome
        } catch {
            copy.remove()
            throw error
        }
    }

    private func store(_ copy: SQLiteCopy, of service: Service, into sink: any CaptureSink)
        async throws -> CaptureOutcome
    {
        var outcome = CaptureOutcome(consistency: .application)
        try await sink.document(
            Self.document, try StableJSON.encode(copy.facts), attributes: [:])
        let descriptor = try await BlockingPool.shared.run { () throws -> Int32 in
            do throws(SystemError) {
                return try FileSystem().open(copy.file, flags: O_RDONLY)
            } catch {
                throw error.failure(side: .local)
            }
        }
        defer { close(descriptor) }
        _ = try await sink.stream(
            Self.part, from: descriptor, of: .rows, attributes: ["path": copy.facts.path],
            observer: nil)
        outcome.proof.rows = copy.rows
        let shown = printable(copy.facts.path.utf8)
        if let first = copy.facts.damage.first {
            outcome.suspicions.append("\(shown) is damaged: \(printable(first.utf8))")
        } else if copy.rows.values.allSatisfy({ $0 == 0 }), !service.allowEmpty {
            outcome.suspicions.append("\(shown) holds no rows")
        }
        return outcome
    }

    public func replaySteps(
        for source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [ReplayStep] {
        let place = try place(source, target)
        return [
            ReplayStep(
                id: "sqlite", title: "restore \(printable(place.utf8))",
                bytes: source.snapshot.part(Self.part)?.bytes ?? ByteCount(0), phase: .data,
                makes: ["path\(place)"])
        ]
    }

    public func preflight(
        _ steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [PreflightFinding] {
        let place = try place(source, target)
        return try await BlockingPool.shared.run {
            ([""] + Self.companions).compactMap { end in
                guard access(place + end, F_OK) == 0 else { return nil }
                var finding = target.taken(
                    "\(printable((place + end).utf8)) exists", path: place)
                finding.hint = finding.hint ?? "stop what uses it before it is replaced"
                return finding
            }
        }
    }

    public func perform(
        _ step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> ReplayOutcome {
        let place = try place(source, target)
        let facts = try StableJSON.decode(
            SQLiteCopy.Facts.self, from: try await source.document(Self.document))
        let file = ReplayedFile(path: place)
        let expected = source.snapshot.proof.rows
        let claim = context.claim("path\(place)")
        let mayMakeRoom = context.replace || claim.isOwn
        try await BlockingPool.shared.run {
            // A log without its database would be played into the one that is put there.
            for end in [""] + Self.companions where access(place + end, F_OK) == 0 && !mayMakeRoom {
                throw Failure(
                    .failed, "\(printable((place + end).utf8)) exists already",
                    hint: "choose another place, or allow it to be replaced", side: .target)
            }
        }
        let found = Mutex(ReplayOutcome())
        let bytes = try await file.write(
            Self.part, from: source, replace: false, claim: claim
        ) { descriptor in
            let isOwn = claim.isOwn
            // One that was being moved when the run was killed is moved on to the same place.
            let free = claim.aside ?? "\(place)_before_\(AsideName.now())"
            if !isOwn { await claim.moveAside(to: free) }
            try await BlockingPool.shared.run {
                let problems = try Self.prove(file.temporary, facts: facts, rows: expected)
                try Self.settle(descriptor, place: place, facts: facts)
                let aside = try Self.makeRoom(at: place, aside: isOwn ? nil : free)
                found.withLock { outcome in
                    outcome.problems = problems
                    if let aside {
                        outcome.notes = ["what was there is now \(printable(aside.utf8))"]
                    }
                }
            }
        }
        var outcome = found.withLock { $0 }
        outcome.bytes = ByteCount(bytes)
        return outcome
    }

    public func restoredPlaces(
        of step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [RestoredPlace] {
        [RestoredPlace(part: Self.part, path: try place(source, target))]
    }

    private func place(_ source: any ReplaySource, _ target: ReplayTarget) throws -> String {
        guard let path = source.snapshot.part(Self.part)?.attributes["path"] else {
            throw Failure(.damaged, "the snapshot holds no SQLite database")
        }
        switch target {
        case .here: return path
        case .place(let place): return place.path(of: path)
        case .directory(let directory):
            let name = path.split(separator: "/").last.map(String.init) ?? "database"
            return ReplayDirectory.path(directory, for: source.snapshot) + "/"
                + ReplayDirectory.fileName(name)
        }
    }

    /// Compares the restored file with what was captured.
    ///
    /// - Returns: What is wrong with it and was wrong already when it was captured.
    private static func prove(_ path: String, facts: SQLiteCopy.Facts, rows: [String: UInt64])
        throws -> [String]
    {
        let file = try SQLiteFile(path, .immutable)
        let damage = try file.damage()
        if !damage.isEmpty {
            guard !facts.damage.isEmpty else {
                throw Failure(
                    .verificationFailed,
                    "the restored database is damaged: "
                        + printable((damage.first ?? "").utf8), side: .target)
            }
            return damage.map { "damaged since its capture: \(printable($0.utf8))" }
        }
        for table in try file.tables() {
            let found = try file.rows(of: table)
            let expected = rows["main.\(table)"]
            guard found == expected else {
                throw Failure(
                    .verificationFailed,
                    "table \(printable(table.utf8)) came back with \(found) "
                        + "rows, not \(expected.map { "\($0)" } ?? "none at all")", side: .target)
            }
        }
        return []
    }

    private static func settle(_ descriptor: Int32, place: String, facts: SQLiteCopy.Facts) throws {
        if geteuid() == 0, fchown(descriptor, facts.userID, facts.groupID) != 0 {
            throw SystemError.last("chown", place).failure(side: .target)
        }
        if fchmod(descriptor, facts.mode & 0o777) != 0 {
            throw SystemError.last("chmod", place).failure(side: .target)
        }
    }

    /// Moves the old database and its companions aside together, so that they stay one database.
    ///
    /// - Parameter aside: Where to; nil to drop them.
    /// - Returns: Where the old database is now; nil when there was none.
    private static func makeRoom(at place: String, aside: String?) throws -> String? {
        var moved: String?
        for companion in companions + [""] where access(place + companion, F_OK) == 0 {
            guard let aside else {
                if unlink(place + companion) != 0 {
                    throw SystemError.last("unlink", place + companion).failure(side: .target)
                }
                continue
            }
            let name = aside + companion
            guard dr_rename_exclusive(AT_FDCWD, place + companion, AT_FDCWD, name) == 0 else {
                throw SystemError.last("rename", place + companion).failure(side: .target)
            }
            moved = aside
        }
        return moved
    }
}
