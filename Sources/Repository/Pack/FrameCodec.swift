import CZstd
import Model

/// How the bytes of a frame are stored.
enum FrameEncoding: UInt8, Sendable {
    case plain = 0
    case zstd = 1
}

/// Compresses frames with one reused zstd context; owned by one thread at a time.
final class FrameCompressor {
    private let context: OpaquePointer
    private var scratch: UnsafeMutableRawBufferPointer

    /// - Parameter level: zstd's level, 1 to 19.
    init(level: Int) throws {
        guard let context = ZSTD_createCCtx() else { throw Failure(.failed, "out of memory") }
        self.context = context
        scratch = .allocate(byteCount: 0, alignment: 16)
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
        ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 1)
    }

    deinit {
        ZSTD_freeCCtx(context)
        scratch.deallocate()
    }

    /// Compresses `bytes`; the result is valid until the next call.
    ///
    /// - Returns: The compressed bytes, or nil when they would be no smaller.
    func compress(_ bytes: UnsafeRawBufferPointer) throws -> UnsafeRawBufferPointer? {
        let bound = ZSTD_compressBound(bytes.count)
        if scratch.count < bound {
            scratch.deallocate()
            scratch = .allocate(byteCount: bound, alignment: 16)
        }
        let size = ZSTD_compress2(
            context, scratch.baseAddress, scratch.count, bytes.baseAddress, bytes.count)
        if ZSTD_isError(size) != 0 {
            throw Failure(
                .failed, "zstd cannot compress: \(String(cString: ZSTD_getErrorName(size)))",
                side: .local)
        }
        return size < bytes.count ? UnsafeRawBufferPointer(rebasing: scratch[..<size]) : nil
    }

    /// One zstd frame of `bytes`, even when it is no smaller.
    func compress(_ bytes: [UInt8]) throws -> [UInt8] {
        var result = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
        let size = bytes.withUnsafeBytes { source in
            result.withUnsafeMutableBytes { target in
                ZSTD_compress2(
                    context, target.baseAddress, target.count, source.baseAddress, source.count)
            }
        }
        if ZSTD_isError(size) != 0 { throw Failure(.failed, "zstd cannot compress") }
        result.removeLast(result.count - size)
        return result
    }
}

/// Decompresses frames with one reused zstd context; owned by one thread at a time.
final class FrameDecompressor {
    private let context: OpaquePointer?

    init() { context = ZSTD_createDCtx() }
    deinit { ZSTD_freeDCtx(context) }

    /// Decompresses one frame into exactly `target`.
    func decompress(
        _ bytes: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer, object: String
    ) throws(FormatError) {
        let size = ZSTD_decompressDCtx(
            context, target.baseAddress, target.count, bytes.baseAddress, bytes.count)
        guard ZSTD_isError(size) == 0, size == target.count else {
            throw FormatError(object, "a frame does not decompress")
        }
    }

    /// Decompresses a frame that says its own size, up to `limit` bytes.
    func decompress(_ bytes: [UInt8], limit: Int, object: String) throws(FormatError) -> [UInt8] {
        let size = bytes.withUnsafeBytes { ZSTD_getFrameContentSize($0.baseAddress, $0.count) }
        guard size <= UInt64(limit) else {
            throw FormatError(object, "its compressed part says no size, or too large a one")
        }
        var result = [UInt8](repeating: 0, count: Int(size))
        let outcome: Result<Void, FormatError> = bytes.withUnsafeBytes { source in
            result.withUnsafeMutableBytes { target in
                do throws(FormatError) {
                    try decompress(source, into: target, object: object)
                    return .success(())
                } catch {
                    return .failure(error)
                }
            }
        }
        try outcome.get()
        return result
    }
}
