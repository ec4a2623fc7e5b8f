import CLinux
import Glibc

/// A Python that can read a repository without `dr`: it has `cryptography` and `zstandard`.
public enum PythonReader {
    /// The interpreter; nil when none on this machine has both.
    public static let interpreter: String? = ["python3", "/usr/bin/python3"].first { name in
        system("\(name) -c 'import cryptography, zstandard' >/dev/null 2>&1") == 0
    }

    public static let isThere = interpreter != nil

    /// Runs one of the checkout's scripts.
    public static func run(
        _ script: String, _ arguments: [String] = [], environment: [String: String] = [:],
        timeout: Duration = .seconds(300)
    ) async throws -> OutsideProgram.Outcome {
        let words = [interpreter ?? "python3", Checkout.path(script)] + arguments
        let base = ["PATH": TestEnvironment.variable("PATH") ?? "/usr/bin:/bin", "LANG": "C.UTF-8"]
        return try await OutsideProgram(
            words, environment: base.merging(environment) { $1 }, timeout: timeout
        ).run()
    }
}
