import CLinux
import Glibc

/// What the process was started with: read once, passed on as a value.
struct ProcessEnvironment: Sendable {
    var variables: [String: String]
    var workingDirectory: String
    /// Width of the terminal on standard output; nil when it is none.
    var outputColumns: Int?
    /// Width of the terminal on standard error; nil when it is none.
    var errorColumns: Int?

    subscript(_ name: String) -> String? { variables[name] }

    /// That of this process. The repository's password is taken out of it, so that no program that
    /// `dr` starts inherits it. Call before there is a second thread.
    static func taken() -> ProcessEnvironment {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
            entry += 1
        }
        for name in ["DR_PASSWORD", "DR_NEW_PASSWORD", "DR_FROM_PASSWORD"] { unsetenv(name) }
        var directory = "/"
        if let pointer = getcwd(nil, 0) {
            directory = String(cString: pointer)
            free(pointer)
        }
        return ProcessEnvironment(
            variables: variables, workingDirectory: directory,
            outputColumns: columns(STDOUT_FILENO), errorColumns: columns(STDERR_FILENO))
    }

    /// Whether a program can be run: its path, or a name that is looked up in `PATH`.
    func hasProgram(_ name: String) -> Bool {
        if name.contains("/") { return access(name, X_OK) == 0 }
        return (variables["PATH"] ?? "/usr/bin:/bin").split(separator: ":").contains {
            access("\($0)/\(name)", X_OK) == 0
        }
    }

    private static func columns(_ descriptor: Int32) -> Int? {
        guard isatty(descriptor) == 1 else { return nil }
        let columns = Int(dr_terminal_columns(descriptor))
        return columns > 0 ? columns : 80
    }
}
