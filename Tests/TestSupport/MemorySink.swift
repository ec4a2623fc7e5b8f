import CLinux
import Engine
import Glibc
public import Model
public import Workloads

/// A ``CaptureSink`` without a repository: documents and streams in memory, trees as copies.
///
/// Trees are copied by `cp -a` into the directory it was given, so that a driver's test does not
/// depend on `dr`'s own reading of trees.
public actor MemorySink: CaptureSink {
    /// One part as it came in.
    struct Part: Sendable {
        var kind: PartKind
        var bytes: [UInt8] = []
        /// Where a tree's copy lies.
        var copy: String?
        var size: UInt64
        var attributes: [String: String]
    }

    private var parts: [String: Part] = [:]
    /// In the order in which they came.
    public private(set) var names: [String] = []
    private let directory: TemporaryDirectory
    private let failingAt: String?
    private let beforeTree: @Sendable (String) async throws -> Void

    /// - Parameters:
    ///   - directory: Receives the trees' copies.
    ///   - failingAt: The name of a part that fails instead of being stored.
    ///   - beforeTree: Called with a tree's name before it is read.
    public init(
        in directory: TemporaryDirectory, failingAt: String? = nil,
        beforeTree: @escaping @Sendable (String) async throws -> Void = { _ in }
    ) {
        self.directory = directory
        self.failingAt = failingAt
        self.beforeTree = beforeTree
    }

    public func document(
        _ name: String, _ bytes: [UInt8], attributes: [String: String]
    ) async throws {
        try admit(name)
        parts[name] = Part(
            kind: .document, bytes: bytes, size: UInt64(bytes.count), attributes: attributes)
    }

    public func stream(
        _ name: String, from descriptor: Int32, of content: StreamContent,
        attributes: [String: String], observer: (any StreamObserver)?
    ) async throws -> UInt64 {
        try admit(name)
        let bytes = try await BlockingPool.shared.run { () throws -> [UInt8] in
            var all: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0 { throw SystemError.last("read", name) }
                if count == 0 { return all }
                try buffer[..<count].withUnsafeBytes { try observer?.observe($0) }
                all += buffer[..<count]
            }
        }
        parts[name] = Part(
            kind: .stream, bytes: bytes, size: UInt64(bytes.count), attributes: attributes)
        return UInt64(bytes.count)
    }

    public func tree(
        _ name: String, at path: String, options: TreeCaptureOptions,
        attributes: [String: String]
    ) async throws -> TreeCaptureSummary {
        try admit(name)
        try await beforeTree(name)
        let copy = directory.path("tree-\(names.count)")
        let outcome = try await OutsideProgram.run(["cp", "-aT", path, copy])
        guard outcome.status == 0 else { throw Failure(.failed, "cp: \(outcome.errorText)") }
        let list = try await OutsideProgram.run(["find", copy, "-printf", "%y %s\\n"])
        let lines = list.text.split(separator: "\n")
        let files = lines.filter { $0.hasPrefix("f ") }
        let bytes = files.reduce(UInt64(0)) { $0 + (UInt64($1.dropFirst(2)) ?? 0) }
        parts[name] = Part(kind: .tree, copy: copy, size: bytes, attributes: attributes)
        return TreeCaptureSummary(
            files: UInt64(files.count), entries: UInt64(lines.count), bytes: ByteCount(bytes),
            omissions: [])
    }

    private func admit(_ name: String) throws {
        if name == failingAt { throw Failure(.failed, "the sink fails at \(name)") }
        guard parts[name] == nil else { throw Failure(.failed, "\(name) was stored twice") }
        names.append(name)
    }

    /// The bytes of a document or stream.
    public func bytes(of name: String) throws -> [UInt8] {
        guard let part = parts[name], part.kind != .tree else {
            throw Failure(.failed, "no such part: \(name)")
        }
        return part.bytes
    }

    public func attributes(of name: String) -> [String: String] { parts[name]?.attributes ?? [:] }

    /// A snapshot of what was stored, ready to be replayed.
    public func source(
        service: ServiceName, kind: WorkloadKind, name: String, outcome: CaptureOutcome
    ) -> MemorySource {
        var record = SnapshotRecord(
            id: .random(), workload: WorkloadID(service: service, kind: kind, name: name),
            service: service, kind: kind, host: "test", run: .random(),
            asOf: Timestamp(nanoseconds: 1_790_000_000_000_000_000))
        record.consistency = outcome.consistency
        record.proof = outcome.proof
        record.suspicions = outcome.suspicions
        record.omissions = outcome.omissions
        record.notes = outcome.notes
        record.parts = names.compactMap { name in
            parts[name].map {
                SnapshotPart(
                    name: name, kind: $0.kind, content: .empty, bytes: ByteCount($0.size),
                    attributes: $0.attributes)
            }
        }
        return MemorySource(snapshot: record, parts: parts)
    }
}

/// The ``ReplaySource`` of what a ``MemorySink`` holds; its trees' copies must still be there.
public struct MemorySource: ReplaySource {
    public let snapshot: SnapshotRecord
    let parts: [String: MemorySink.Part]

    public func document(_ part: String) async throws -> [UInt8] {
        guard let part = parts[part], part.kind != .tree else {
            throw Failure(.failed, "no such part: \(part)")
        }
        return part.bytes
    }

    public func stream(_ part: String, to descriptor: Int32) async throws -> UInt64 {
        let bytes = try await document(part)
        try await BlockingPool.shared.run {
            try withoutBrokenPipeSignal {
                try bytes.withUnsafeBytes {
                    try FileSystem().write($0, to: descriptor, path: part)
                }
            }
        }
        return UInt64(bytes.count)
    }

    public func tree(
        _ part: String, to path: String, options: TreeReplayOptions
    ) async throws -> TreeReplaySummary {
        guard let stored = parts[part], let copy = stored.copy else {
            throw Failure(.failed, "no such tree: \(part)")
        }
        let copied = try await OutsideProgram.run(["cp", "-aT", copy, path])
        guard copied.status == 0 else { throw Failure(.failed, "cp: \(copied.errorText)") }
        var summary = TreeReplaySummary()
        summary.bytes = ByteCount(stored.size)
        return summary
    }

    public func archive(_ part: String, called name: String, to descriptor: Int32) async throws
        -> TreeReplaySummary
    {
        guard let copy = parts[part]?.copy else { throw Failure(.failed, "no such tree: \(part)") }
        return try await TreeArchive.write(copy, called: name, to: descriptor)
    }
}

/// A ``SecretReader`` of a test's own secrets.
public struct MemorySecrets: SecretReader {
    public var secrets: [SecretSource: String]

    public init(_ secrets: [SecretSource: String] = [:]) { self.secrets = secrets }

    public func read(_ source: SecretSource) async throws -> String {
        guard let secret = secrets[source] else { throw Failure(.failed, "no such secret") }
        return secret
    }
}
