import CLinux
public import Engine
import Glibc
public import Model

/// Captures the standard output of a program, and gives it back to another program's standard input.
public struct CommandDriver: WorkloadDriver {
    public let kind = WorkloadKind.command
    private let programs: any ProgramRunner
    static let part = "output"
    private static let document = "command.json"

    /// What the document holds.
    private struct Words: Codable {
        var capture: [String]
        var restore: [String]?
        /// The machine on which both run; nil for the one that runs `dr`.
        var host: String?

        /// A program, for people.
        func shown(_ program: String) -> String {
            "command \(printable(program.utf8))" + (host.map { " on \($0)" } ?? "")
        }
    }

    /// - Parameter programs: Where the programs run that name no machine.
    public init(programs: any ProgramRunner = LocalPrograms()) { self.programs = programs }

    public func capture(
        _ workload: WorkloadSpecification, of service: Service, into sink: any CaptureSink,
        context: WorkloadContext
    ) async throws -> CaptureOutcome {
        guard case .command(let command) = workload, let program = command.capture.first else {
            throw Failure(.usage, "service \(service.name): no command to capture")
        }
        let words = Words(
            capture: command.capture, restore: command.restore, host: command.host)
        try await sink.document(Self.document, try StableJSON.encode(words), attributes: [:])
        let (bytes, result) = try await ProgramStreams(programs: runner(on: words.host)).capture(
            ProgramCall(command.capture), into: sink, as: Self.part)
        guard result.succeeded else {
            throw result.failure(
                words.shown(program), side: .source, hint: "run it by hand and see what it says")
        }
        guard bytes > 0 || service.allowEmpty else {
            throw Failure(
                .failed, "\(words.shown(program)) wrote nothing",
                hint: "set allow_empty: true if that is as it should be", side: .source)
        }
        // What the output is worth only its program knows.
        return CaptureOutcome(consistency: .application)
    }

    public func replaySteps(
        for source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [ReplayStep] {
        let bytes = source.snapshot.part(Self.part)?.bytes ?? ByteCount(0)
        return switch target {
        case .place: []
        case .here:
            [
                ReplayStep(
                    id: "command", title: "give the output back to the restore command",
                    bytes: bytes, phase: .data)
            ]
        case .directory(let directory):
            [
                ReplayStep(
                    id: "command", title: "write the command's output to a file", bytes: bytes,
                    phase: .data, makes: ["path\(file(source, directory))"])
            ]
        }
    }

    public func omissions(
        from source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [String] {
        guard let place = target.place else { return [] }
        return ["its restore command writes to this machine, not to \(place.name)"]
    }

    public func preflight(
        _ steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [PreflightFinding] {
        switch target {
        case .place: return []
        case .here:
            guard try await words(source, service).restore?.isEmpty == false else {
                return [
                    PreflightFinding(
                        .blocker, "service \(service.name): its command has no restore command",
                        hint: "set restore: in the configuration, or restore to a directory")
                ]
            }
            return []
        case .directory(let directory):
            let path = file(source, directory)
            guard access(path, F_OK) == 0 else { return [] }
            return [
                PreflightFinding(.conflict, "\(printable(path.utf8)) exists", name: "path\(path)")
            ]
        }
    }

    public func perform(
        _ step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> ReplayOutcome {
        switch target {
        case .here, .place:
            let words = try await words(source, service)
            guard let restore = words.restore, let program = restore.first else {
                throw Failure(.usage, "service \(service.name): no restore command")
            }
            let (bytes, result) = try await ProgramStreams(programs: runner(on: words.host))
                .replay(Self.part, from: source, into: ProgramCall(restore))
            guard result.succeeded else {
                throw result.failure("restore \(words.shown(program))", side: .target)
            }
            return ReplayOutcome(bytes: ByteCount(bytes))
        case .directory(let directory):
            let path = file(source, directory)
            let bytes = try await ReplayedFile(path: path).write(
                Self.part, from: source, replace: context.replace,
                claim: context.claim("path\(path)"))
            return ReplayOutcome(bytes: ByteCount(bytes))
        }
    }

    private func runner(on host: String?) throws -> any ProgramRunner {
        guard let host else { return programs }
        return SSHPrograms(on: try SSHDestination(address: host), local: programs)
    }

    /// The restore words of the configuration, or else those of the night.
    private func words(_ source: any ReplaySource, _ service: Service) async throws -> Words {
        for case .command(let command) in service.workloads
        where WorkloadID(service: service.name, kind: .command, name: command.name)
            == source.snapshot.workload && command.restore != nil
        {
            return Words(
                capture: command.capture, restore: command.restore, host: command.host)
        }
        return try StableJSON.decode(Words.self, from: try await source.document(Self.document))
    }

    private func file(_ source: any ReplaySource, _ directory: String) -> String {
        ReplayDirectory.path(directory, for: source.snapshot) + "/output"
    }
}
