import CLinux
import Engine
import Glibc
import Model
import Synchronization
import TestSupport
import Workloads

/// Keeps what a driver captures in memory; trees as copies in a scratch directory.
final class ScriptedSink: CaptureSink {
    struct Part: Sendable {
        var kind: PartKind
        var bytes: [UInt8]
        var attributes: [String: String]
    }

    private let state = Mutex<(names: [String], parts: [String: Part])>(([], [:]))
    private let scratch: TemporaryDirectory?
    /// Called while a stream is read, with its name and the bytes so far; `Int.max` at its end.
    private let progress: @Sendable (String, Int) async throws -> Void

    init(
        scratch: TemporaryDirectory? = nil,
        progress: @escaping @Sendable (String, Int) async throws -> Void = { _, _ in }
    ) {
        self.scratch = scratch
        self.progress = progress
    }

    /// Lets something begin when the first bytes of a stream have come; from then on that is read
    /// slowly, so that it is far from its end when it happens.
    ///
    /// The Engine waits for whoever reads what a program says before it removes its container.
    convenience init(
        whenReading part: String, _ happen: @escaping @Sendable () async -> Void
    ) {
        let hasBegun = Atomic<Bool>(false)
        self.init { name, count in
            guard name == part, count > 0 else { return }
            if !hasBegun.exchange(true, ordering: .relaxed) { Task { await happen() } }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    var names: [String] { state.withLock { $0.names } }
    func part(_ name: String) -> Part? { state.withLock { $0.parts[name] } }
    func set(_ name: String, _ bytes: [UInt8]) {
        state.withLock { $0.parts[name]?.bytes = bytes }
    }

    private func add(_ name: String, _ part: Part) {
        state.withLock { state in
            precondition(state.parts[name] == nil, "two parts \(name)")
            state.names.append(name)
            state.parts[name] = part
        }
    }

    func document(_ name: String, _ bytes: [UInt8], attributes: [String: String]) async throws {
        add(name, Part(kind: .document, bytes: bytes, attributes: attributes))
    }

    func stream(
        _ name: String, from descriptor: Int32, of content: StreamContent,
        attributes: [String: String], observer: (any StreamObserver)?
    ) async throws -> UInt64 {
        var all: [UInt8] = []
        while true {
            let piece = try await BlockingPool.shared.run { () throws -> [UInt8] in
                var buffer = [UInt8](repeating: 0, count: 30_011)
                let count = read(descriptor, &buffer, buffer.count)
                guard count >= 0 else { throw SystemError.last("read", name) }
                return Array(buffer.prefix(count))
            }
            if piece.isEmpty {
                try await progress(name, .max)
                break
            }
            try piece.withUnsafeBytes { try observer?.observe($0) }
            all += piece
            try await progress(name, all.count)
        }
        add(name, Part(kind: .stream, bytes: all, attributes: attributes))
        return UInt64(all.count)
    }

    func tree(
        _ name: String, at path: String, options: TreeCaptureOptions,
        attributes: [String: String]
    ) async throws -> TreeCaptureSummary {
        guard let scratch else { throw Failure(.failed, "no place for trees") }
        let copy = scratch.path("tree-\(name.filter { $0 != "/" })")
        let result = try await OutsideProgram.run(["cp", "-aT", path, copy])
        guard result.status == 0 else { throw Failure(.failed, result.errorText) }
        add(name, Part(kind: .tree, bytes: Array(copy.utf8), attributes: attributes))
        let files = try await OutsideProgram.run(["find", copy, "-type", "f", "-printf", "x"])
        return TreeCaptureSummary(
            files: UInt64(files.output.count), entries: 0, bytes: ByteCount(0), omissions: [])
    }

    /// The snapshot that a run would have written.
    func source(_ outcome: CaptureOutcome, service: Service, _ workload: WorkloadSpecification)
        -> ScriptedSource
    {
        var record = SnapshotRecord(
            id: .random(),
            workload: WorkloadID(service: service.name, kind: workload.kind, name: workload.name),
            service: service.name, kind: workload.kind, host: "test", run: .random(),
            asOf: Timestamp(nanoseconds: 0))
        record.proof = outcome.proof
        record.suspicions = outcome.suspicions
        for name in names {
            guard let part = part(name) else { continue }
            record.parts.append(
                SnapshotPart(
                    name: name, kind: part.kind, content: .empty,
                    bytes: ByteCount(UInt64(part.bytes.count)), attributes: part.attributes))
        }
        return ScriptedSource(snapshot: record, sink: self)
    }
}

/// Gives back what a ``ScriptedSink`` holds.
struct ScriptedSource: ReplaySource {
    var snapshot: SnapshotRecord
    let sink: ScriptedSink
    /// Streams break off after so many bytes.
    var breaksAfter: Int?

    init(snapshot: SnapshotRecord, sink: ScriptedSink) {
        self.snapshot = snapshot
        self.sink = sink
    }

    func document(_ part: String) async throws -> [UInt8] {
        guard let found = sink.part(part) else { throw Failure(.failed, "no part \(part)") }
        return found.bytes
    }

    func stream(_ part: String, to descriptor: Int32) async throws -> UInt64 {
        let bytes = try await document(part)
        let breaksAfter = breaksAfter
        return try await BlockingPool.shared.run {
            try withoutBrokenPipeSignal {
                try bytes.prefix(breaksAfter ?? bytes.count).withUnsafeBytes {
                    try FileSystem().write($0, to: descriptor, path: part)
                }
            }
            if breaksAfter != nil { throw Failure(.damaged, "pack missing", side: .repository) }
            return UInt64(bytes.count)
        }
    }

    func tree(_ part: String, to path: String, options: TreeReplayOptions) async throws
        -> TreeReplaySummary
    {
        let copy = String(decoding: try await document(part), as: UTF8.self)
        let result = try await OutsideProgram.run(["cp", "-aT", copy, path])
        guard result.status == 0 else { throw Failure(.failed, result.errorText) }
        var summary = TreeReplaySummary()
        let files = try await OutsideProgram.run(["find", path, "-type", "f", "-printf", "x"])
        summary.files = UInt64(files.output.count)
        return summary
    }

    func archive(_ part: String, called name: String, to descriptor: Int32) async throws
        -> TreeReplaySummary
    {
        let copy = String(decoding: try await document(part), as: UTF8.self)
        return try await TreeArchive.write(copy, called: name, to: descriptor)
    }
}

/// Secrets of tests, by the name of their variable.
struct FixedSecrets: SecretReader {
    var values: [String: String] = [:]

    func read(_ source: SecretSource) async throws -> String {
        guard case .environment(let name) = source, let value = values[name] else {
            throw Failure(.usage, "no such secret")
        }
        return value
    }
}

extension WorkloadDriver {
    /// Captures the first workload of `service` into memory.
    func captured(_ service: Service, into sink: ScriptedSink = ScriptedSink()) async throws
        -> (source: ScriptedSource, outcome: CaptureOutcome)
    {
        let workload = service.workloads[0]
        let outcome = try await capture(
            workload, of: service, into: sink, context: WorkloadContext(secrets: FixedSecrets()))
        return (sink.source(outcome, service: service, workload), outcome)
    }

    /// Captures a workload of a service of its own into memory.
    ///
    /// - Parameter secret: What the configuration's secret `secret` is; nil for none.
    @discardableResult
    func captured(_ workload: WorkloadSpecification, secret: String?) async throws
        -> CaptureOutcome
    {
        try await capture(
            workload, of: Service(name: "db", workloads: [workload]), into: ScriptedSink(),
            context: WorkloadContext(
                secrets: FixedSecrets(values: secret.map { ["secret": $0] } ?? [:])))
    }

    /// What is found before anything is changed here.
    func preflighted(_ source: ScriptedSource, _ service: Service) async throws
        -> [PreflightFinding]
    {
        try await preflight(
            try await replaySteps(for: source, service: service, target: .here), from: source,
            service: service, target: .here, context: WorkloadContext(secrets: FixedSecrets()))
    }

    /// Performs all steps in order.
    @discardableResult
    func replayed(
        _ source: ScriptedSource, _ service: Service, to target: ReplayTarget = .here,
        replace: Bool = false
    ) async throws -> [ReplayOutcome] {
        let context = WorkloadContext(secrets: FixedSecrets(), replace: replace)
        var outcomes: [ReplayOutcome] = []
        for step in try await replaySteps(for: source, service: service, target: target) {
            outcomes.append(
                try await perform(
                    step, from: source, service: service, target: target, context: context))
        }
        return outcomes
    }
}
