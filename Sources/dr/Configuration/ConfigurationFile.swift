import CLinux
import Engine
import Glibc
import Model

/// Where a configuration is read from.
struct ConfigurationFile: Sendable, Hashable {
    /// The path that is opened.
    var path: String
    /// What named it, for messages: an option, a variable, or nothing but the default.
    var isDefault: Bool

    static let defaultPath = "/etc/dr/dr.yaml"

    /// Most bytes that a configuration may have.
    static let sizeLimit = 1 << 20

    /// `--config`, else `DR_CONFIG`, else `/etc/dr/dr.yaml`; the working directory's is not looked
    /// for, because whoever can put one there could run programs as root.
    static func located(option: String?, environment: ProcessEnvironment) -> ConfigurationFile {
        if let option { return ConfigurationFile(path: option, isDefault: false) }
        if let variable = environment["DR_CONFIG"], !variable.isEmpty {
            return ConfigurationFile(path: variable, isDefault: false)
        }
        return ConfigurationFile(path: defaultPath, isDefault: true)
    }

    /// The file's name as messages show it.
    var shownPath: String { printable(path.utf8) }

    /// The file's bytes; nil when the default file does not exist.
    ///
    /// - Throws: ``Failure`` (usage) when it cannot be read, is no file, is larger than
    ///   ``sizeLimit``, or may be written by everybody.
    func read() throws -> [UInt8]? {
        let system = FileSystem()
        let descriptor: Int32
        do throws(SystemError) {
            descriptor = try system.open(path, flags: O_RDONLY | O_NONBLOCK)
        } catch {
            if error.number == ENOENT, isDefault { return nil }
            throw Failure(
                .usage, "cannot read the configuration \(shownPath): \(error.reason)",
                hint: error.number == ENOENT
                    ? "name the file with --config or DR_CONFIG"
                    : "run dr as a user who may read it, or name another with --config")
        }
        defer { _ = close(descriptor) }
        try check(descriptor)
        _ = dr_fcntl_int(descriptor, F_SETFL, 0)
        return try bytes(from: descriptor)
    }

    private func check(_ descriptor: Int32) throws {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw Failure(.usage, "cannot read the configuration \(shownPath)")
        }
        if status.st_mode & S_IFMT == S_IFDIR {
            throw Failure(
                .usage, "the configuration \(shownPath) is a directory",
                hint: "name the file in it, for example \(shownPath)/dr.yaml")
        }
        let isFile = status.st_mode & S_IFMT == S_IFREG
        if isFile, status.st_mode & S_IWOTH != 0 {
            throw Failure(
                .usage, "the configuration \(shownPath) may be written by everybody",
                hint: "it names programs to run: chmod o-w \(shownPath)")
        }
    }

    private func bytes(from descriptor: Int32) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = buffer.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress, $0.count)
            }
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                let reason = SystemError.last("read", path).reason
                throw Failure(.usage, "cannot read the configuration \(shownPath): \(reason)")
            }
            bytes.append(contentsOf: buffer[..<count])
            if bytes.count > Self.sizeLimit {
                throw Failure(
                    .usage, "the configuration \(shownPath) is larger than 1 MiB",
                    hint: "name the right file with --config or DR_CONFIG")
            }
        }
    }

    /// The directory that relative paths in the file are relative to.
    func directory(workingDirectory: String) -> String {
        let whole = absolutePath(path, from: workingDirectory)
        let parent = whole.split(separator: "/").dropLast().joined(separator: "/")
        return "/" + parent
    }
}

extension SystemError {
    /// The system's words for the error number.
    var reason: String { String(cString: strerror(number)) }
}
