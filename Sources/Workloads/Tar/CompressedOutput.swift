import CLibarchive
import Engine
import Model

/// How an archive is compressed on its way out.
public enum ArchiveCompression: String, Sendable, CaseIterable {
    case gzip, bzip2, xz, zstd, lz4
}

/// Compresses a stream of bytes with libarchive.
///
/// Used by one thread at a time.
public final class CompressedOutput {
    private let archive: OpaquePointer
    private let sink: Sink

    /// Where libarchive's blocks go; what goes wrong there is kept for whoever writes.
    private final class Sink {
        let write: (UnsafeRawBufferPointer) throws -> Void
        var error: (any Error)?

        init(_ write: @escaping (UnsafeRawBufferPointer) throws -> Void) { self.write = write }
    }

    /// - Parameter write: Takes what is compressed, in order.
    /// - Throws: `Failure` with code `unsupported` where libarchive was built without `compression`.
    public init(
        _ compression: ArchiveCompression,
        to write: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        guard let archive = archive_write_new(), let entry = archive_entry_new() else {
            throw Failure(.failed, "no memory for compressing")
        }
        self.archive = archive
        sink = Sink(write)
        defer { archive_entry_free(entry) }
        // One entry without a format: the stream itself.
        archive_write_set_format_raw(archive)
        let result =
            switch compression {
            case .gzip: archive_write_add_filter_gzip(archive)
            case .bzip2: archive_write_add_filter_bzip2(archive)
            case .xz: archive_write_add_filter_xz(archive)
            case .zstd: archive_write_add_filter_zstd(archive)
            case .lz4: archive_write_add_filter_lz4(archive)
            }
        // Anything but success means that an outside program would have to do it.
        guard result == ARCHIVE_OK else {
            throw Failure(
                .usage, "this machine's libarchive does not compress with \(compression.rawValue)",
                hint: "compress the archive on its way: dr export … | \(compression.rawValue)")
        }
        // No padding behind the end.
        archive_write_set_bytes_in_last_block(archive, 1)
        let opened = archive_write_open2(
            archive, Unmanaged.passUnretained(sink).toOpaque(), nil,
            { _, client, bytes, count in
                guard let client else { return -1 }
                let sink = Unmanaged<Sink>.fromOpaque(client).takeUnretainedValue()
                do {
                    try sink.write(UnsafeRawBufferPointer(start: bytes, count: count))
                    return count
                } catch {
                    sink.error = error
                    return -1
                }
            }, nil, nil)
        try check(opened)
        archive_entry_set_pathname(entry, "data")
        archive_entry_set_filetype(entry, dr_archive_regular_file)
        try check(archive_write_header(archive, entry))
    }

    deinit {
        // Without ``finish()`` the stream stays without its end, and no reader takes it for whole.
        archive_write_fail(archive)
        archive_write_free(archive)
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = archive_write_data(archive, rest.baseAddress, rest.count)
            guard count > 0 else { throw failure() }
            rest = UnsafeRawBufferPointer(rebasing: rest[Int(count)...])
        }
    }

    /// Writes what is left; nothing may follow.
    public func finish() throws { try check(archive_write_close(archive)) }

    private func check(_ result: Int32) throws {
        guard result == ARCHIVE_OK else { throw failure() }
    }

    private func failure() -> any Error {
        if let error = sink.error { return error }
        let text = archive_error_string(archive).map { String(cString: $0) } ?? "no reason given"
        return Failure(.failed, "the archive cannot be compressed: \(text)")
    }
}
