import TestSupport

/// Runs programs under strace, which makes chosen system calls fail or kill.
struct Strace: Sendable {
    static let isThere = TestEnvironment.hasProgram("strace")

    /// A system call of a run, as strace counts: the n-th of its kind in its thread.
    struct Point: Sendable, Hashable, CustomStringConvertible {
        var call: String
        var number: Int
        var description: String { "\(call) \(number)" }
    }

    /// Calls that change what is on disk, and those around them.
    static let changing = [
        "openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "mkdir",
        "ftruncate", "close",
    ]
    /// And those at which a process can be hit just as well.
    static let all = changing + ["read", "pread64", "newfstatat", "futex", "getdents64", "fcntl"]

    /// Runs a program and counts its calls.
    ///
    /// - Parameters:
    ///   - below: Only calls whose line names a path below this one.
    ///   - status: What the program must end with.
    static func points(
        _ program: OutsideProgram, calls: [String], below: String? = nil, log: String,
        status: Int32 = 0
    ) async throws -> [Point] {
        var traced = program
        traced.words =
            ["strace", "-f", "-qq", "-y", "--seccomp-bpf", "-o", log]
            + ["-e", "trace=" + calls.joined(separator: ",")] + program.words
        let outcome = try await traced.run()
        guard outcome.status == status else { throw TrialFailure("strace: \(outcome)") }
        var counts: [String: Int] = [:]
        var points: Set<Point> = []
        let text = try await OutsideProgram.run(["cat", log]).text
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
            // Short process ids are padded.
            guard words.count == 2, let end = words[1].firstIndex(of: "(") else { continue }
            let call = String(words[1][..<end].drop { $0 == " " })
            guard calls.contains(call) else { continue }
            let number = counts["\(words[0]) \(call)", default: 0] + 1
            counts["\(words[0]) \(call)"] = number
            if let below, !words[1].contains(below) { continue }
            points.insert(Point(call: call, number: number))
        }
        return points.sorted { ($0.call, $0.number) < ($1.call, $1.number) }
    }

    /// The program, killed as it enters the call.
    static func killing(_ program: OutsideProgram, at point: Point) -> OutsideProgram {
        var traced = program
        traced.words =
            ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null"]
            + ["-e", "trace=\(point.call)"]
            + ["-e", "inject=\(point.call):signal=KILL:when=\(point.number)"] + program.words
        return traced
    }

    /// The program, with a call that fails once or from then on.
    ///
    /// - Parameter log: Lines of failed calls end in `(INJECTED)` there.
    static func failing(
        _ program: OutsideProgram, at point: Point, error: String, isPersistent: Bool, log: String
    ) -> OutsideProgram {
        var traced = program
        let when = "\(point.number)\(isPersistent ? "+" : "")"
        traced.words =
            ["strace", "-f", "-qq", "-y", "--seccomp-bpf", "-o", log]
            + ["-e", "trace=\(point.call)"]
            + ["-e", "inject=\(point.call):error=\(error):when=\(when)"] + program.words
        return traced
    }

    /// Lines of calls that were made to fail.
    static func injected(_ log: String) async throws -> [String] {
        try await OutsideProgram.run(["cat", log]).text.split(separator: "\n")
            .filter { $0.contains("(INJECTED)") }.map(String.init)
    }
}
