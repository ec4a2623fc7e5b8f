import CLinux
import Engine
import Glibc

/// Names of files as C wants them. Names are bytes: nothing here goes through `String`.
enum EntryName {
    /// Calls `body` with `name` and a zero byte after it.
    static func withCString<Result>(
        _ name: some Collection<UInt8>, _ body: (UnsafePointer<CChar>) -> Result
    ) -> Result {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: name.count + 1) { buffer in
            var index = 0
            for byte in name {
                buffer[index] = CChar(bitPattern: byte)
                index += 1
            }
            buffer[index] = 0
            // A buffer of one element or more has an address.
            guard let base = buffer.baseAddress else { preconditionFailure() }
            return body(UnsafePointer(base))
        }
    }

    /// Why `path` names nothing beneath a directory; nil when it does, or is empty.
    static func refusal(of path: [UInt8]) -> String? {
        if path.isEmpty { return nil }
        if path.first == slash { return "the name is absolute" }
        if path.contains(0) { return "the name holds a zero byte" }
        var start = path.startIndex
        while true {
            let end = path[start...].firstIndex(of: slash) ?? path.endIndex
            switch end - start {
            case 0: return "the name has an empty component"
            case 1 where path[start] == dot: return "the name has a component ."
            case 2 where path[start] == dot && path[start + 1] == dot:
                return "the name has a component .."
            default: break
            }
            if end == path.endIndex { return nil }
            start = end + 1
        }
    }

    static let slash = UInt8(ascii: "/")
    private static let dot = UInt8(ascii: ".")
}

extension SystemError {
    /// The error that the last system call of this thread left, about a name in bytes.
    static func last(_ call: String, bytes path: some Collection<UInt8>) -> SystemError {
        let number = dr_errno()
        return SystemError(call, path: String(decoding: path, as: UTF8.self), number: number)
    }

    /// Whether going on with the next entry makes no sense.
    var isGlobal: Bool {
        [ENOSPC, EDQUOT, EIO, EROFS, EMFILE, ENFILE, ENOMEM, ESTALE].contains(number)
    }

    /// The reason alone, for example `operation not permitted`.
    var reason: String { String(cString: strerror(number)).lowercased() }
}
