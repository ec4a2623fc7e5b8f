import CLinux
import Engine
import Glibc
public import Model

/// Captures trees of files by path, of this machine or of one that `ssh` reaches, and brings them back
/// to the same paths.
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
        let machine = try MachineFiles(host: files.host)
        let paths: [RealPath]
        if machine.destination == nil {
            paths = try await BlockingPool.shared.run { try Self.resolve(files.paths) }
        } else {
            paths = try await Self.resolve(files.paths, on: machine)
        }
        for (index, path) in paths.enumerated() {
            let part = "tree/\(index)"
            let shown = printable(path.real.utf8)
            if path.real != path.given {
                outcome.notes.append(
                    "\(printable(path.given.utf8)) is reached through a link: captured as \(shown)")
            }
            var attributes = [Self.pathKey: path.real]
            attributes[MachineFiles.hostKey] = files.host
            let (summary, more) = try await machine.reading(
                path.real, isFile: path.isFile,
                TreeCaptureOptions(exclude: files.exclude, oneFileSystem: files.oneFileSystem)
            ) { [attributes] in
                try await sink.tree(part, at: $0, options: $1, attributes: attributes)
            }
            outcome.proof.files[part] = summary.files
            outcome.omissions += summary.omissions + more.map { "\(shown): \($0)" }
            if summary.files == 0, !service.allowEmpty {
                outcome.suspicions.append("\(shown) holds no files")
            }
        }
        return outcome
    }

    public func replaySteps(
        for source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [ReplayStep] {
        try source.snapshot.parts.compactMap { part in
            guard part.kind == .tree, let path = part.attributes[Self.pathKey] else { return nil }
            let place = place(path, source, service, target)
            let machine = try machine(of: part, service, target)
            let shown = printable(place.utf8) + (machine.destination.map { " on \($0)" } ?? "")
            return ReplayStep(
                id: "files:\(path)", title: "restore \(shown)", bytes: part.bytes, phase: .data,
                makes: ["path\(place)"]
            ).within(machine.scope)
        }
    }

    /// The machine that the configuration names, else the one that the part is from; at a target the
    /// one that stands for it.
    private func machine(
        of part: SnapshotPart, _ service: Service, _ target: ReplayTarget
    ) throws -> MachineFiles {
        // A drill's copies are all on this machine.
        guard target.isLive, target.place?.isolation == nil else { return MachineFiles(of: nil) }
        var host = part.attributes[MachineFiles.hostKey]
        for case .files(let files) in service.workloads { host = files.host }
        var destination = try host.map(SSHDestination.init(address:))
        if let place = target.place, let original = destination?.host {
            destination?.host = place.host(of: original)
        }
        return MachineFiles(of: destination)
    }

    public func preflight(
        _ steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [PreflightFinding] {
        var findings: [PreflightFinding] = []
        for part in source.snapshot.parts {
            guard let path = part.attributes[Self.pathKey],
                steps.contains(where: { $0.id == "files:\(path)" })
            else { continue }
            let machine = try machine(of: part, service, target)
            let place = place(path, source, service, target)
            let found: PreflightFinding?
            if machine.destination == nil {
                found = try await BlockingPool.shared.run { Self.finding(at: place, target) }
            } else {
                found = try await finding(at: place, on: machine, target)
                if found?.severity != .blocker,
                    let lack = try await machine.lack(of: part.bytes, at: place)
                {
                    findings.append(lack)
                }
            }
            if let found { findings.append(found.within(machine.scope)) }
        }
        return findings
    }

    private static func finding(at place: String, _ target: ReplayTarget) -> PreflightFinding? {
        let shown = printable(place.utf8)
        switch RestoredTree(path: place).state {
        case .absent, .emptyDirectory: return nil
        case .directory: return target.taken("\(shown) exists and is not empty", path: place)
        case .other: return target.taken("\(shown) exists", path: place)
        }
    }

    private func finding(
        at place: String, on machine: MachineFiles, _ target: ReplayTarget
    ) async throws -> PreflightFinding? {
        do {
            guard try await machine.place(at: place).state == .taken else { return nil }
        } catch let failure as Failure {
            return PreflightFinding(.blocker, failure.description, hint: failure.hint)
        }
        return target.taken("\(printable(place.utf8)) exists and is not empty", path: place)
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
        let options = TreeReplayOptions(
            privilegedMetadata: target.isLive || context.privilegedMetadata, owners: geteuid() == 0)
        let place = place(path, source, service, target)
        let machine = try machine(of: part, service, target)
        let (summary, aside) = try await machine.replay(
            part.name, from: source, to: place, options: options, replace: context.replace,
            claim: context.within(machine.scope).claim("path\(place)"))
        return ReplayOutcome(
            summary, aside: aside, name: path, files: source.snapshot.proof.files[part.name])
    }

    public func restoredPlaces(
        of step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [RestoredPlace] {
        source.snapshot.parts.compactMap { part in
            guard let path = part.attributes[Self.pathKey], "files:\(path)" == step.id else {
                return nil
            }
            return RestoredPlace(part: part.name, path: place(path, source, service, target))
        }
    }

    private func place(
        _ path: String, _ source: any ReplaySource, _ service: Service, _ target: ReplayTarget
    ) -> String {
        switch target {
        case .here:
            service.workloads.lazy.compactMap { workload -> String? in
                guard case .files(let files) = workload else { return nil }
                return files.restoreTo
            }.first.map { "\($0)\(path)" } ?? path
        case .place(let place): place.path(of: path)
        case .directory(let directory):
            ReplayDirectory.path(
                ReplayDirectory.path(directory, for: source.snapshot), beneath: path)
        }
    }

    /// A path as it was given, and where it really is.
    private struct RealPath {
        var given: String
        var real: String
        /// Known of another machine's only: here nobody needs it.
        var isFile = false
    }

    /// Where each path of another machine really is.
    private static func resolve(
        _ paths: [String], on machine: MachineFiles
    ) async throws -> [RealPath] {
        let mounts = try await machine.mounts()
        var missing: [String] = []
        var found: [RealPath] = []
        for path in paths {
            let look = try await machine.look(at: path, mounts: mounts)
            guard look.kind == .directory || look.kind == .file else {
                missing.append(printable(path.utf8))
                continue
            }
            guard !found.contains(where: { $0.real == look.path }) else { continue }
            found.append(
                RealPath(
                    given: trimmed(path), real: look.path, isFile: look.kind == .file))
        }
        try refuse(missing, "on \(machine.destination.map { "\($0)" } ?? "this machine"): ")
        return found
    }

    private static func trimmed(_ path: String) -> String {
        var path = path
        while path.hasSuffix("/"), path != "/" { path.removeLast() }
        return path
    }

    private static func refuse(_ missing: [String], _ place: String = "") throws {
        guard !missing.isEmpty else { return }
        throw Failure(
            .failed, "\(place)cannot be captured: \(missing.joined(separator: ", "))",
            hint: "paths must be absolute and exist; is a file system not mounted?",
            side: .source)
    }

    /// Where each path really is. All that are missing are named in one failure.
    private static func resolve(_ paths: [String]) throws -> [RealPath] {
        var missing: [String] = []
        var found: [RealPath] = []
        for path in paths {
            guard path.hasPrefix("/"), let resolved = realpath(path, nil) else {
                missing.append(printable(path.utf8))
                continue
            }
            defer { free(resolved) }
            let real = String(cString: resolved)
            if !found.contains(where: { $0.real == real }) {
                found.append(RealPath(given: trimmed(path), real: real))
            }
        }
        try refuse(missing)
        return found
    }
}
