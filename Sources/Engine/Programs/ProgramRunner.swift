public import Model

/// Runs programs somewhere: on this machine, in a container, over SSH.
///
/// A driver written against this works in all of those places. Implementations: `LocalPrograms`
/// here, `ContainerPrograms` in `Workloads/Docker`.
public protocol ProgramRunner: Sendable {
    /// Runs a program to its end.
    ///
    /// A program that ends with another code than 0 is a result, not an error.
    ///
    /// - Throws: ``Failure`` when it could not be started, its time ran out, or the place was lost;
    ///   `CancellationError` after the program was ended because the task was cancelled.
    func run(_ call: ProgramCall) async throws -> ProgramResult
}

/// A program to run.
public struct ProgramCall: Sendable {
    /// The program, looked up in `PATH` when it holds no `/`, and its arguments; never a secret.
    public var words: [String]
    /// Added to the environment; may hold secrets.
    public var environment: [String: String]
    /// The user to run as, where the place can choose; nil for the place's own.
    public var user: String?
    /// Read as standard input until its end, and left open; nil for none.
    public var input: Int32?
    /// Written with standard output, and left open; nil to collect it in the result.
    public var output: Int32?
    /// Told every line of a collected standard output as it comes, on this machine and over SSH; must
    /// be quick.
    public var heard: (@Sendable (_ line: String) -> Void)?
    /// After this the program is ended and the call fails; nil for no limit.
    public var timeout: TimeSpan?

    public init(
        _ words: [String], environment: [String: String] = [:], user: String? = nil,
        input: Int32? = nil, output: Int32? = nil, timeout: TimeSpan? = nil
    ) {
        self.words = words
        self.environment = environment
        self.user = user
        self.input = input
        self.output = output
        self.timeout = timeout
        heard = nil
    }
}

/// How a program ended.
public struct ProgramResult: Sendable, Hashable {
    /// The exit code; 128 + n after signal n.
    public var status: Int32
    /// Standard output where the call collected it, at most 64 MiB (more is an error).
    public var output: [UInt8]
    /// The end of standard error, at most 64 KiB, as text.
    public var errorText: String

    public init(status: Int32, output: [UInt8] = [], errorText: String = "") {
        self.status = status
        self.output = output
        self.errorText = errorText
    }

    public var succeeded: Bool { status == 0 }
    /// Standard output as text, invalid UTF-8 replaced.
    public var text: String { String(decoding: output, as: UTF8.self) }
}
