import CLinux
import Engine
import Glibc
import Model
import Repository
import Synchronization
import Workloads

/// Puts what a driver captures into the repository; becomes the parts of one snapshot.
final class RepositoryCaptureSink: CaptureSink {
    private struct State {
        var parts: [SnapshotPart] = []
        var statistics = CaptureStatistics()
        var omissions: [String] = []
    }

    private let session: WriteSession
    private let previous: SnapshotRecord?
    private let makeReader: @Sendable () -> ChunkReader
    private let advance: @Sendable (ByteCount) -> Void
    private let state = Mutex(State())
    private let cancelled = Atomic<Bool>(false)

    /// - Parameters:
    ///   - previous: The last snapshot of the same workload, against which files are recognised.
    ///   - makeReader: Makes a reader of the repository for one thread.
    ///   - advance: Told the bytes that were read, now and then.
    init(
        session: WriteSession, previous: SnapshotRecord?,
        makeReader: @escaping @Sendable () -> ChunkReader,
        advance: @escaping @Sendable (ByteCount) -> Void
    ) {
        self.session = session
        self.previous = previous
        self.makeReader = makeReader
        self.advance = advance
    }

    /// What was captured so far.
    var parts: [SnapshotPart] { state.withLock { $0.parts } }
    var statistics: CaptureStatistics { state.withLock { $0.statistics } }
    var omissions: [String] { state.withLock { $0.omissions } }

    func document(_ name: String, _ bytes: [UInt8], attributes: [String: String]) async throws {
        try await blocking { sink in
            let writer = sink.session.makeContentWriter()
            writer.begin()
            try bytes.withUnsafeBytes { try writer.append($0) }
            let content = try sink.finish(writer)
            sink.keep(
                SnapshotPart(
                    name: name, kind: .document, content: content,
                    bytes: ByteCount(content.length), attributes: attributes),
                read: content.length, new: writer.newBytes)
        }
    }

    func stream(
        _ name: String, from descriptor: Int32, of content: StreamContent,
        attributes: [String: String], observer: (any StreamObserver)?
    ) async throws -> UInt64 {
        try await blocking { sink in
            _ = dr_fcntl_int(descriptor, DR_F_SETPIPE_SZ, 1 << 20)
            let writer = sink.session.makeContentWriter()
            writer.begin(content == .rows ? .fine : .standard)
            var reported: UInt64 = 0
            var total: UInt64 = 0
            while true {
                try sink.checkCancelled()
                let room = try writer.room()
                let count = Glibc.read(descriptor, room.baseAddress, room.count)
                if count == 0 { break }
                if count < 0 {
                    if errno == EINTR { continue }
                    throw SystemError.last("read", name).failure(side: .source)
                }
                try observer?.observe(UnsafeRawBufferPointer(rebasing: room[..<count]))
                try writer.advance(count)
                total += UInt64(count)
                if total - reported > 4 << 20 {
                    sink.advance(ByteCount(total - reported))
                    reported = total
                }
            }
            sink.advance(ByteCount(total - reported))
            let stored = try sink.finish(writer)
            sink.keep(
                SnapshotPart(
                    name: name, kind: .stream, content: stored, bytes: ByteCount(stored.length),
                    attributes: attributes),
                read: stored.length, new: writer.newBytes)
            return stored.length
        }
    }

    func tree(
        _ name: String, at path: String, options: TreeCaptureOptions,
        attributes: [String: String]
    ) async throws -> TreeCaptureSummary {
        try await blocking { sink in
            var known: PreviousTree?
            if let previous = sink.previous, let part = previous.part(name), part.kind == .tree {
                // Without the past everything is read again: slower, never wrong.
                known = try? PreviousTree(
                    part.content, asOf: previous.asOf, reader: sink.makeReader())
            }
            let capture = TreeCapture(
                session: sink.session, previous: known, options: options,
                cancelled: { try sink.checkCancelled() }, advance: sink.advance)
            let content = try capture.capture(path)
            sink.keep(
                SnapshotPart(
                    name: name, kind: .tree, content: content, bytes: ByteCount(capture.bytes),
                    entries: capture.entries, attributes: attributes),
                read: capture.bytesRead, new: capture.bytesNew)
            sink.state.withLock {
                $0.statistics.files += capture.files
                $0.statistics.filesUnchanged += capture.filesUnchanged
                $0.omissions += capture.omissions
            }
            return TreeCaptureSummary(
                files: capture.files, entries: capture.entries, bytes: ByteCount(capture.bytes),
                omissions: capture.omissions)
        }
    }

    func disks(from descriptor: Int32, by reader: any DiskStreamReader) async throws {
        try await blocking { sink in
            _ = dr_fcntl_int(descriptor, DR_F_SETPIPE_SZ, 1 << 20)
            let disks = ArrivingDisks(
                session: sink.session, cancelled: { try sink.checkCancelled() },
                advance: sink.advance)
            try reader.read(descriptor, into: disks)
            for (part, read, new) in try disks.finish() { sink.keep(part, read: read, new: new) }
        }
    }

    func archive(
        _ name: String, from descriptor: Int32, aside: [String], attributes: [String: String]
    ) async throws -> ArchiveCaptureSummary {
        try await blocking { sink in
            _ = dr_fcntl_int(descriptor, DR_F_SETPIPE_SZ, 1 << 20)
            let capture = ArchiveCapture(
                session: sink.session, aside: aside, cancelled: { try sink.checkCancelled() },
                advance: sink.advance)
            let content = try capture.capture(descriptor)
            sink.keep(
                SnapshotPart(
                    name: name, kind: .tree, content: content, bytes: ByteCount(capture.bytes),
                    entries: capture.entries, attributes: attributes),
                read: capture.bytes, new: capture.bytesNew)
            sink.state.withLock {
                $0.statistics.files += capture.files
                $0.omissions += capture.omissions
            }
            return ArchiveCaptureSummary(
                tree: TreeCaptureSummary(
                    files: capture.files, entries: capture.entries,
                    bytes: ByteCount(capture.bytes), omissions: capture.omissions),
                aside: capture.setAside)
        }
    }

    private func finish(_ writer: ContentWriter) throws -> ContentReference {
        try writer.end()
        try writer.drain()
        guard let content = try writer.takeFinished().first else {
            throw Failure(.failed, "a content is missing after its capture", side: .local)
        }
        return content
    }

    private func keep(_ part: SnapshotPart, read: UInt64, new: UInt64) {
        state.withLock {
            $0.parts.append(part)
            $0.statistics.bytes += part.bytes
            $0.statistics.bytesRead += ByteCount(read)
            $0.statistics.bytesNew += ByteCount(new)
        }
    }

    private func checkCancelled() throws {
        if cancelled.load(ordering: .relaxed) { throw CancellationError() }
    }

    /// Runs `body` on a blocking thread; cancelling the task makes it stop at the next read.
    private func blocking<Value: Sendable>(
        _ body: @escaping @Sendable (RepositoryCaptureSink) throws -> Value
    ) async throws -> Value {
        try await withTaskCancellationHandler {
            try Task.checkCancellation()
            return try await BlockingPool.shared.run { try body(self) }
        } onCancel: {
            cancelled.store(true, ordering: .relaxed)
        }
    }
}
