/// The one error a person sees: what went wrong, and what to do about it.
///
/// Messages are lower case, without a full stop, and name the thing and its path. They never hold a
/// secret: whoever makes a failure from a program's output redacts it first.
public struct Failure: Error, Sendable, Codable, Equatable, CustomStringConvertible {
    /// The exit code of a process that ends with this.
    public var code: ExitCode
    /// What went wrong, in one line.
    public var message: String
    /// One sentence that says what to do.
    public var hint: String?
    /// What was being done, outermost first.
    public var context: [String]
    /// The error below, as text.
    public var cause: String?
    /// Which side is to blame; a repository's failure is never put down to a source.
    public var side: Side?
    /// True when trying again soon may help.
    public var isTransient: Bool

    /// The side of a backup or restore on which something failed.
    public enum Side: String, Codable, Sendable { case source, repository, local, target }

    public init(
        _ code: ExitCode = .failed, _ message: String, hint: String? = nil,
        context: [String] = [], cause: String? = nil, side: Side? = nil, isTransient: Bool = false
    ) {
        self.code = code
        self.message = message
        self.hint = hint
        self.context = context
        self.cause = cause
        self.side = side
        self.isTransient = isTransient
    }

    /// The same failure, with what was being done put before it.
    public func during(_ what: String) -> Failure {
        var copy = self
        copy.context.insert(what, at: 0)
        return copy
    }

    /// `message (cause)`, with the context before it.
    public var description: String {
        let line = context.isEmpty ? message : context.joined(separator: ": ") + ": " + message
        guard let cause, !cause.isEmpty else { return line }
        return "\(line) (\(cause))"
    }

    /// Any error as a failure; one that is none already becomes code 1 with its own text.
    public init(wrapping error: any Error) {
        if let failure = error as? Failure {
            self = failure
        } else if error is CancellationError {
            self = Failure(.interrupted, "interrupted")
        } else {
            self = Failure(.failed, "\(error)")
        }
    }
}
