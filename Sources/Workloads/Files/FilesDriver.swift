import CLinux
import Engine
import Glibc
public import Model

/// Captures trees of files of this machine by path, and brings them back to the same paths.
public struct FilesDriver: WorkloadDriver {
    public let kind = WorkloadKind.files
    private static let pathKey = "path"

    public init() {}

    public func capture(
        _ workload: WorkloadSpecification, of service: Service, into sink: any CaptureSink,
        context: WorkloadContext
    ) async throws -> CaptureOutcome {
        guard case .files(let files) = workload, !files.paths.isEmpty else {
            throw Failure(.usage, "service \(service.name): no paths to capture")
        }
        var outcome = CaptureOutcome(consistency: .crash)
        let paths = try await BlockingPool.shared.run { try Self.resolve(files.paths) }
        for (index, path) in paths.enumerated() {
            let part = "tree/\(index)"
            let shown = printable(path.real.utf8)
            if path.real != path.given {
                outcome.notes.append(
                    "\(printable(path.given.utf8)) is reached through a link: captured as \(shown)")
            }
            let summary = try await sink.tree(
                part, at: path.real,
                options: TreeCaptureOptions(
                    exclude: files.exclude, oneFileSystem: files.oneFileSystem),
                attributes: [Self.pathKey: path.real])
            outcome.proof.files[part] = summary.files
            outcome.omissions += summary.omissions
            if summary.files == 0, !service.allowEmpty {
                outcome.suspicions.append("\(shown) holds no files")
            }
        }
        return outcome
    }

    public func replaySteps(
        for source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [ReplayStep] {
        source.snapshot.parts.compactMap { part in
            guard part.kind == .tree, let path = part.attributes[Self.pathKey] else { return nil }
            let place = place(path, source, target)
            return ReplayStep(
                id: "files:\(path)", title: "restore \(printable(place.utf8))", bytes: part.bytes,
                phase: .data, makes: ["path\(place)"])
        }
    }

    public func preflight(
        _ steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [PreflightFinding] {
        let places = source.snapshot.parts.compactMap { part -> String? in
            guard let path = part.attributes[Self.pathKey],
                steps.contains(where: { $0.id == "files:\(path)" })
            else { return nil }
            return place(path, source, target)
        }
        return try await BlockingPool.shared.run {
            places.compactMap { place in
                let shown = printable(place.utf8)
                switch RestoredTree(path: place).state {
                case .absent, .emptyDirectory: return nil
                case .directory:
                    return PreflightFinding(.conflict, "\(shown) exists and is not empty")
                case .other: return PreflightFinding(.conflict, "\(shown) exists")
                }
            }
        }
    }

    public func perform(
        _ step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> ReplayOutcome {
        guard
            let part = source.snapshot.parts.first(where: { part in
                part.attributes[Self.pathKey].map { "files:\($0)" } == step.id
            }), let path = part.attributes[Self.pathKey]
        else { throw Failure(.failed, "the snapshot has no part for step \(step.id)") }
        let isHere = target == .here
        let options = TreeReplayOptions(
            privilegedMetadata: isHere || context.privilegedMetadata, owners: geteuid() == 0)
        let (summary, aside) = try await RestoredTree(path: place(path, source, target)).replay(
            part.name, from: source, options: options, replace: context.replace)
        var outcome = ReplayOutcome(
            bytes: summary.bytes, notes: summary.dropped.map { "dropped: \($0)" },
            problems: summary.problems)
        if let aside { outcome.notes.append("what was there is now \(printable(aside.utf8))") }
        if let expected = source.snapshot.proof.files[part.name], expected != summary.files {
            outcome.problems.append(
                "\(printable(path.utf8)): \(summary.files) files came back of \(expected)")
        }
        return outcome
    }

    private func place(_ path: String, _ source: any ReplaySource, _ target: ReplayTarget)
        -> String
    {
        switch target {
        case .here: path
        case .directory(let directory):
            ReplayDirectory.path(
                ReplayDirectory.path(directory, for: source.snapshot), beneath: path)
        }
    }

    /// Where each path really is. All that are missing are named in one failure.
    private static func resolve(_ paths: [String]) throws -> [(given: String, real: String)] {
        var missing: [String] = []
        var found: [(given: String, real: String)] = []
        for path in paths {
            guard path.hasPrefix("/"), let resolved = realpath(path, nil) else {
                missing.append(printable(path.utf8))
                continue
            }
            defer { free(resolved) }
            var given = path
            while given.hasSuffix("/"), given != "/" { given.removeLast() }
            let real = String(cString: resolved)
            if !found.contains(where: { $0.real == real }) { found.append((given, real)) }
        }
        guard missing.isEmpty else {
            throw Failure(
                .failed, "cannot be captured: \(missing.joined(separator: ", "))",
                hint: "paths must be absolute and exist; is a file system not mounted?",
                side: .source)
        }
        return found
    }
}
