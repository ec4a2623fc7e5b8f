import CLinux
import Engine
import Glibc
import Model

/// A random 256-bit key in a file of its own: 64 hexadecimal digits and a line break.
enum RandomKey {
    static let byteCount = 32

    /// The key that a file's text holds.
    ///
    /// - Parameter path: Names the file in errors; the text is never shown.
    static func parse(_ text: String, from path: String) throws -> [UInt8] {
        guard let bytes = Hexadecimal.decode(text), bytes.count == byteCount else {
            throw Failure(
                .usage, "the file \(printable(path.utf8)) does not hold a key",
                hint: "a key is 64 hexadecimal digits, as dr key add --random-key writes them",
                side: .local)
        }
        return bytes
    }

    /// Makes a key and writes it, durably and for its owner alone, to a file that must not exist.
    static func make(at path: String) async throws -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        let key = (0..<byteCount).map { _ in UInt8.random(in: 0...255, using: &generator) }
        try await BlockingPool.shared.run {
            do {
                try write(Array((Hexadecimal.encode(key) + "\n").utf8), to: path)
            } catch let error as SystemError {
                if error.number == EEXIST {
                    throw Failure(
                        .usage, "there is a file \(printable(path.utf8)) already",
                        hint: "name another one: a key is never overwritten", side: .local)
                }
                throw error.failure(side: .local)
            }
        }
        return key
    }

    private static func write(_ bytes: [UInt8], to path: String) throws {
        let files = FileSystem()
        let descriptor = try files.open(path, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        do {
            try bytes.withUnsafeBytes { try files.write($0, to: descriptor, path: path) }
            try files.synchronize(descriptor, path: path)
        } catch {
            _ = Glibc.close(descriptor)
            _ = unlink(path)
            throw error
        }
        try files.close(descriptor, path: path)
        try files.synchronizeDirectory(
            path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        )
    }
}
