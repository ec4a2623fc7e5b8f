import CLinux
import Glibc
public import Model

/// A system call that changes what is on disk, as fault injection names it.
public enum SystemCall: String, Sendable, Hashable, CaseIterable {
    case open, read, write, fsync, close, rename, unlink, mkdir, truncate, link
}

/// Decides, call by call, whether a system call fails; only tests have one.
public protocol FaultInjector: Sendable {
    /// Throws instead of letting `call` on `path` happen.
    func before(_ call: SystemCall, path: String) throws(SystemError)
}

/// A system call that failed.
public struct SystemError: Error, Sendable, Hashable, CustomStringConvertible {
    public var call: String
    public var path: String
    /// The value of `errno`.
    public var number: Int32

    public init(_ call: String, path: String, number: Int32) {
        self.call = call
        self.path = path
        self.number = number
    }

    /// The error that the last system call of this thread left in `errno`.
    public static func last(_ call: String, _ path: String) -> SystemError {
        SystemError(call, path: path, number: dr_errno())
    }

    public var description: String {
        "\(call) \(printable(path.utf8)): \(String(cString: strerror(number)))"
    }

    /// Whether a disk or a quota is full.
    public var isNoSpace: Bool { number == ENOSPC || number == EDQUOT }

    /// As a person sees it. No space has an exit code of its own; what may pass is transient.
    public func failure(side: Failure.Side) -> Failure {
        let full = isNoSpace
        let transient = [EINTR, EAGAIN, EBUSY, EMFILE, ENFILE, ESTALE].contains(number)
        return Failure(
            full ? .noSpace : .failed, description,
            hint: full ? "free some space there, then run the same command again" : nil,
            side: side, isTransient: transient)
    }
}
