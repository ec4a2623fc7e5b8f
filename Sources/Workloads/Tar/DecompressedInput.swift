import CLibarchive
import Engine
import Glibc
import Model

/// Decompresses a file with libarchive, whatever it is compressed with.
package enum DecompressedInput {
    private static let pieceLength = 1 << 18

    /// Writes what the compressed file `path` holds to `descriptor`; blocks.
    ///
    /// - Parameter cancelled: Throws when the work should end early.
    /// - Throws: `Failure`, also for a file that is cut short.
    package static func copy(
        _ path: String, to descriptor: Int32, cancelled: () throws -> Void
    ) throws {
        guard let archive = archive_read_new() else {
            throw Failure(.failed, "no memory for decompressing", side: .local)
        }
        defer { archive_read_free(archive) }
        // One entry without a format: the stream itself.
        archive_read_support_format_raw(archive)
        archive_read_support_filter_all(archive)
        func failure() -> Failure {
            let text = archive_error_string(archive).map { String(cString: $0) } ?? "damaged"
            return Failure(
                .failed, "\(printable(path.utf8)) cannot be decompressed: \(text)", side: .source)
        }
        func check(_ result: Int32) throws {
            // A warning says that an outside program does it.
            guard result == ARCHIVE_OK || result == ARCHIVE_WARN else { throw failure() }
        }
        try check(archive_read_open_filename(archive, path, pieceLength))
        var entry: OpaquePointer?
        try check(archive_read_next_header(archive, &entry))
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: pieceLength, alignment: 4096)
        defer { buffer.deallocate() }
        while true {
            try cancelled()
            let count = archive_read_data(archive, buffer.baseAddress, buffer.count)
            if count == 0 { return }
            guard count > 0 else { throw failure() }
            try withoutBrokenPipeSignal {
                try FileSystem().write(
                    UnsafeRawBufferPointer(rebasing: buffer[..<count]), to: descriptor, path: path)
            }
        }
    }
}
