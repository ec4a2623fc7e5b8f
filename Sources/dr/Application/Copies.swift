import CLinux
import Catalog
import Engine
import Glibc
import Model
import Repository
import Restore
import Snapshot

/// How a copy stands, and what it said that it holds.
struct ShownCopy {
    var shown: StatusOverview.Copy
    var held: [PlacedWorkload]
}

// Copies of the repository that the configuration names.
extension Application {
    /// What a copy's last run came to, in the catalog of the original.
    static let copyDocument = "copy"

    /// The copies that are named; all when none is.
    func copies(named names: [String], in configuration: Configuration) throws -> [RepositoryCopy] {
        let known = configuration.copies.map(\.name)
        for name in names where !known.contains(name) {
            throw Failure(
                .usage, "there is no copy \"\(printable(name.utf8))\"",
                hint: nearestName(to: name, among: known).map { "did you mean \"\($0)\"?" }
                    ?? (known.isEmpty
                        ? "add it to \(configurationFile.shownPath) under copies:"
                        : "there are: \(known.joined(separator: ", "))"))
        }
        return configuration.copies.filter { names.isEmpty || names.contains($0.name) }
    }

    /// What opens a copy: its own password or key, else the repository's.
    func credential(for copy: RepositoryCopy) async throws -> Credential {
        if let path = copy.keyFile {
            return .key(try RandomKey.parse(try await secrets.read(.file(path)), from: path))
        }
        if let source = copy.password { return .password(try await secrets.read(source)) }
        return try await credential(for: copy.repository)
    }

    /// Opens a copy, with a catalog of its own.
    func open(_ copy: RepositoryCopy, of configuration: Configuration) async throws
        -> OpenRepository
    {
        var own = Configuration(repository: copy.repository)
        own.repositoryOptions = copy.options
        own.compressionLevel = configuration.compressionLevel
        own.catalog = configuration.catalog.map { "\($0)/copy-\(copy.name)" }
        return try await open(own, refreshing: false, writing: true) { _ in
            try await credential(for: copy)
        }
    }

    /// Brings one copy up to date, and remembers how that went.
    func bringUpToDate(
        _ copy: RepositoryCopy, from open: OpenRepository, showing progress: ProgressDisplay
    ) async throws -> CopyResult {
        let target = try await self.open(copy, of: open.configuration)
        let lock = try RunLock.acquire(
            in: target.catalog.directory, as: .current(purpose: "dr copy", at: timepiece.wall))
        defer { lock.release() }
        let run = RunRecord(
            purpose: .copy, host: host, processID: getpid(),
            version: Version.current, started: timepiece.wall)
        try await open.catalog.beginRun(run)
        func finish(_ code: ExitCode, _ summary: String, _ result: CopyResult?) async throws {
            var ended = run
            ended.finished = timepiece.wall
            ended.result = code
            ended.summary = summary
            var documents: [String: [UInt8]] = [:]
            if let result { documents[Self.copyDocument] = try StableJSON.encode(result) }
            try await open.catalog.finishRun(ended, documents: documents)
        }
        do {
            let copying = Copying(
                from: Copying.Side(
                    repository: open.repository, catalog: open.catalog, index: open.index),
                to: Copying.Side(
                    repository: target.repository, catalog: target.catalog, index: target.index),
                timepiece: timepiece, host: host, version: Version.current)
            let result = try await copying.carryOut(
                name: copy.name, services: Set(open.configuration.services.map(\.name)),
                options: WriteOptions(level: open.configuration.compressionLevel)
            ) { done, total, bytes in
                progress.update {
                    $0.current = copy.name
                    $0.stepsDone = done
                    $0.stepsTotal = total
                    $0.bytesDone = bytes
                }
            }
            try await finish(result.failed.isEmpty ? .done : .partial, copy.name, result)
            return result
        } catch {
            try? await finish(
                Failure(wrapping: error).code, "\(copy.name): \(Failure(wrapping: error))", nil)
            throw error
        }
    }

    /// Brings all copies up to date, one after the other; one that fails does not stop the others.
    func bringUpToDate(
        _ copies: [RepositoryCopy], from open: OpenRepository
    ) async throws -> (results: [CopyResult], failures: [Failure]) {
        var results: [CopyResult] = []
        var failures: [Failure] = []
        let progress = ProgressDisplay("copy", on: output)
        for copy in copies {
            do {
                results.append(
                    try await progress.during {
                        try await bringUpToDate(copy, from: open, showing: progress)
                    })
            } catch let error as CancellationError {
                throw error
            } catch {
                failures.append(Failure(wrapping: error).during("copy \(copy.name)"))
            }
        }
        return (results, failures)
    }

    /// How the copies of a configuration stand, as far as this machine knows.
    func shownCopies(_ open: OpenRepository) async throws -> [ShownCopy] {
        var shown: [ShownCopy] = []
        let runs = try await open.catalog.runs(.copy, limit: 200)
        let last = try await open.catalog.runs(.backup, limit: 1).first?.finished
        for copy in open.configuration.copies {
            let own = runs.filter { run in
                run.summary == copy.name || run.summary.hasPrefix("\(copy.name): ")
            }
            var result: CopyResult?
            for run in own where result == nil {
                guard let bytes = try await open.catalog.document(Self.copyDocument, of: run.id)
                else { continue }
                result = try? StableJSON.decode(CopyResult.self, from: bytes)
            }
            var problem: String?
            if let failed = own.first, failed.result != .done {
                problem = failed.result == .partial ? "not whole" : "failed"
            } else if let at = result?.at, let last, last > at + Self.copyPatience {
                problem = "behind"
            } else if result == nil {
                problem = "never made"
            }
            shown.append(
                ShownCopy(
                    shown: StatusOverview.Copy(
                        name: copy.name, place: copy.repository, at: result?.at,
                        age: result.map { max(.zero, now - $0.at) }, newest: result?.newest,
                        held: result?.held, problem: problem),
                    held: result?.workloads ?? []))
        }
        return shown
    }

    /// A run copies at its end: one that has ended so much later than the last copy has not.
    private static let copyPatience = TimeSpan(seconds: 86400)
}
