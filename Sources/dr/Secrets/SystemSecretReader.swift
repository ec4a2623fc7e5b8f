import CLinux
import Engine
import Glibc
import Model
import Workloads

/// Reads secrets from this machine: variables, files, programs.
///
/// Errors name where a secret should have come from, never what was read.
struct SystemSecretReader: SecretReader {
    /// A secret is short: more than this is some other file.
    static let sizeLimit = 64 << 10

    var environment: ProcessEnvironment
    var programs: any ProgramRunner
    /// Says that a secret's file can be read by others.
    var warn: @Sendable (_ message: String, _ hint: String) -> Void

    func read(_ source: SecretSource) async throws -> String {
        switch source {
        case .environment(let name): try fromEnvironment(name)
        case .file(let path): try await fromFile(path)
        case .command(let words): try await fromProgram(words)
        }
    }

    private func fromEnvironment(_ name: String) throws -> String {
        guard let value = environment[name] else {
            throw Failure(
                .usage, "the environment variable \(name) is not set",
                hint: "set it to the password", side: .local)
        }
        return try checked(Array(value.utf8), from: "the environment variable \(name)")
    }

    private func fromFile(_ path: String) async throws -> String {
        let shown = printable(path.utf8)
        let (bytes, mode) = try await BlockingPool.shared.run {
            try Self.contents(of: path, shown: shown)
        }
        if mode & S_IFMT == S_IFREG, mode & 0o044 != 0 {
            warn("the password file \(shown) can be read by others", "chmod 600 \(shown)")
        }
        return try checked(bytes, from: "the password file \(shown)")
    }

    private static func contents(of path: String, shown: String) throws -> ([UInt8], UInt32) {
        let descriptor = dr_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else {
            let reason = SystemError.last("open", path).reason
            throw Failure(
                .usage, "cannot read the password file \(shown): \(reason)",
                hint: "name a file that this user may read", side: .local)
        }
        defer { _ = close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
            throw Failure(.usage, "the password file \(shown) is a directory", side: .local)
        }
        var bytes = [UInt8](repeating: 0, count: sizeLimit + 1)
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(
                    descriptor, buffer.baseAddress.map { $0 + filled }, buffer.count - filled)
            }
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                let reason = SystemError.last("read", path).reason
                throw Failure(
                    .usage, "cannot read the password file \(shown): \(reason)", side: .local)
            }
            filled += count
        }
        return (Array(bytes.prefix(filled)), status.st_mode)
    }

    private func fromProgram(_ words: [String]) async throws -> String {
        let name = printable((words.first ?? "").utf8)
        let result = try await programs.run(
            ProgramCall(words, timeout: TimeSpan(seconds: 120)))
        guard result.succeeded else {
            throw Failure(
                .failed, "the password command \(name) ended with \(result.status)",
                hint: "run it by hand as the same user and see what it says",
                cause: printable(result.errorText.prefix { $0 != "\n" }.utf8), side: .local)
        }
        return try checked(result.output, from: "the password command \(name)")
    }

    /// One line of text; the line break at its end is not part of it.
    private func checked(_ bytes: [UInt8], from place: String) throws -> String {
        guard bytes.count <= Self.sizeLimit else {
            throw Failure(.usage, "\(place) gives more than 64 KiB", side: .local)
        }
        var bytes = bytes
        if bytes.last == 0x0A { bytes.removeLast() }
        if bytes.last == 0x0D { bytes.removeLast() }
        guard !bytes.isEmpty else {
            throw Failure(.usage, "\(place) gives an empty password", side: .local)
        }
        guard !bytes.contains(where: { $0 == 0x0A || $0 == 0 }) else {
            throw Failure(
                .usage, "\(place) gives more than one line",
                hint: "let it give the password alone", side: .local)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Failure(.usage, "\(place) gives bytes that are not UTF-8 text", side: .local)
        }
        return text
    }
}
