import CLinux
import Engine
import Glibc
import Model

/// Takes the newest of the files that `vzdump` left of a guest in a directory.
struct ExportCapture: Sendable {
    let directory: String
    let number: Int
    let sink: any CaptureSink

    func capture() async throws -> CaptureOutcome {
        let file = try await BlockingPool.shared.run { try Self.newest(of: number, in: directory) }
        let path = "\(directory)/\(file.name)"
        let modified = try await BlockingPool.shared.run { () throws -> Timestamp in
            var status = stat()
            guard stat(path, &status) == 0 else {
                throw SystemError.last("stat", path).failure(side: .source)
            }
            return Timestamp(
                seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
        }
        let prefix = SnapshotGuest.prefix(file.kind, file.number)
        // The file's own time is that of the dump's end.
        var asOf = min(modified, file.began ?? modified)
        var documents: [(name: String, bytes: [UInt8])] = []
        let configuration: [UInt8]
        var devices: [VMAHeader.Device] = []
        var omissions: [String] = []
        switch file.kind {
        case .qemu:
            let capture = VMACapture(prefix: prefix)
            try await reading(file) { try await sink.disks(from: $0, by: capture) }
            guard let header = capture.header,
                let bytes = header.configuration(VMACapture.configurationName)
            else { throw Failure(.failed, "\(file.name) was not read to its end", side: .local) }
            configuration = bytes
            devices = header.devices
            documents = header.configurations.map { ($0.name, $0.data) }
            // The archive's own time knows its time zone; what nobody's clock can have shown does not
            // count.
            if (1...Int64(UInt32.max)).contains(header.created) {
                asOf = min(modified, Timestamp(seconds: Int(header.created), nanoseconds: 0))
            }
        case .lxc:
            let archive = try await reading(file) {
                try await ContainerArchive.store($0, prefix, file.name, into: sink)
            }
            configuration = archive.configuration
            documents = archive.documents
            documents.append((SnapshotGuest.containerConfiguration, archive.configuration))
            omissions = archive.omissions
        }
        let parsed = GuestConfiguration(configuration)
        var record = GuestRecord(number: file.number, kind: file.kind, parsed)
        record.add(devices, of: parsed)
        let notes = try await text("\(path).notes")
        if let notes { documents.append(("notes.txt", Array(notes.utf8))) }
        try await GuestDocuments(sink: sink, record: record).store(documents)
        var outcome = CaptureOutcome(consistency: .application)
        outcome.asOf = asOf
        outcome.omissions = omissions
        outcome.notes.append("taken from \(printable(file.name.utf8))")
        if let first = notes?.split(whereSeparator: \.isNewline).first {
            outcome.notes.append("notes: \(printable(first.utf8))")
        }
        if let log = try await text("\(directory)/\(file.stem).log") {
            outcome.add(VzdumpLog(log), of: record)
        } else {
            outcome.consistency = .crash
            outcome.notes.append(
                "there is no log that says whether its file systems were frozen")
        }
        outcome.notes += GuestCapture.leftOut(parsed, record)
        return outcome
    }

    /// The newest file of a guest. May block.
    static func newest(of number: Int, in directory: String) throws -> ExportFile {
        let names: [String]
        do throws(SystemError) { names = try FileSystem().names(in: directory) } catch {
            throw error.failure(side: .source)
        }
        let files = names.compactMap(ExportFile.init)
        let own = files.filter { $0.number == number }
        guard let newest = own.max(by: { ($0.moment, $0.name) < ($1.moment, $1.name) }) else {
            let known = Set(files.map(\.number)).sorted().prefix(12).map { "\($0)" }
            throw Failure(
                .failed,
                "\(printable(directory.utf8)) has no vzdump file of guest \(number)",
                hint: known.isEmpty
                    ? "its files are called vzdump-qemu-\(number)-…"
                    : "it has files of: " + known.joined(separator: ", "), side: .source)
        }
        return newest
    }

    /// Calls `body` with a descriptor from which the archive can be read as it was before it was
    /// compressed.
    private func reading<Value: Sendable>(
        _ file: ExportFile, _ body: @escaping @Sendable (Int32) async throws -> Value
    ) async throws -> Value {
        let path = "\(directory)/\(file.name)"
        guard file.isCompressed else {
            let descriptor = try await BlockingPool.shared.run { () throws -> Int32 in
                do throws(SystemError) {
                    return try FileSystem().open(path, flags: O_RDONLY)
                } catch { throw error.failure(side: .source) }
            }
            defer { close(descriptor) }
            return try await body(descriptor)
        }
        let pipe: Pipe
        do throws(SystemError) { pipe = try Pipe() } catch { throw error.failure(side: .local) }
        async let copied: Void = BlockingPool.shared.runCancellable { check in
            defer { pipe.closeWriter() }
            try DecompressedInput.copy(path, to: pipe.writer, cancelled: check)
        }
        let taken: Result<Value, any Error>
        do { taken = .success(try await body(pipe.reader)) } catch { taken = .failure(error) }
        pipe.closeReader()
        do { try await copied } catch {
            // A file that breaks off says so better than what was read of it.
            if case .failure(let failure) = taken, !(error is Failure) { throw failure }
            throw error
        }
        return try taken.get()
    }

    /// A small file's text; nil when there is none.
    private func text(_ path: String) async throws -> String? {
        try await BlockingPool.shared.run {
            guard access(path, F_OK) == 0 else { return nil }
            do throws(SystemError) {
                return String(decoding: try FileSystem().read(path), as: UTF8.self)
            } catch { throw error.failure(side: .source) }
        }
    }
}
