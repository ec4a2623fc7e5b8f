import Model

/// A machine that is reached by the system's own `ssh`, with whatever the user's configuration says of
/// it: keys, other names, jump hosts.
public struct SSHDestination: Sendable, Hashable, CustomStringConvertible {
    public var user: String?
    public var host: String
    public var port: Int?

    /// Parses `[user@]host[:port]`, as it stands behind `ssh://`; an IPv6 address in brackets.
    ///
    /// - Throws: ``Failure`` with code `usage`; also for what `ssh` would take for an option.
    public init(parsing text: String) throws {
        func refuse() -> Failure {
            Failure(
                .usage, "not a machine to reach by ssh: \(printable(text.utf8))",
                hint: "write it as ssh://user@host or ssh://user@host:port")
        }
        var rest = text[...]
        while rest.hasSuffix("/") { rest.removeLast() }
        if let at = rest.lastIndex(of: "@") {
            user = String(rest[..<at])
            rest = rest[rest.index(after: at)...]
        }
        if rest.hasPrefix("["), let end = rest.firstIndex(of: "]") {
            host = String(rest[rest.index(after: rest.startIndex)..<end])
            rest = rest[rest.index(after: end)...]
        } else {
            host = String(rest.prefix { $0 != ":" })
            rest = rest.dropFirst(host.count)
        }
        if rest.hasPrefix(":") {
            guard let number = Int(rest.dropFirst()), (1...65535).contains(number) else {
                throw refuse()
            }
            port = number
        } else if !rest.isEmpty {
            throw refuse()
        }
        guard user?.contains(":") != true else {
            // Not repeated: it is a secret.
            throw Failure(
                .usage, "a password stands in the address of a machine to reach by ssh",
                hint: "take it out and change it; ssh takes keys, which ~/.ssh/config names")
        }
        let words = [user ?? "x", host]
        guard
            words.allSatisfy({ word in
                !word.isEmpty && !word.hasPrefix("-")
                    && word.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") }
            })
        else { throw refuse() }
    }

    /// Parses `ssh://[user@]host[:port]`, as it stands in a configuration.
    public init(address: String) throws {
        let scheme = "ssh://"
        guard address.hasPrefix(scheme) else {
            throw Failure(
                .usage, "not a machine to reach by ssh: \(printable(address.utf8))",
                hint: "write it as ssh://user@host or ssh://user@host:port")
        }
        try self.init(parsing: String(address.dropFirst(scheme.count)))
    }

    public var description: String {
        (user.map { "\($0)@" } ?? "") + (host.contains(":") ? "[\(host)]" : host)
            + (port.map { ":\($0)" } ?? "")
    }

    /// The words that run `command`, a line for the other machine's shell, there.
    ///
    /// - Parameter options: More of `ssh`'s own.
    public func words(
        _ program: SSHProgram, options: [String] = [], command: String
    ) -> [String] {
        var words =
            program.words + [
                "-T", "-a", "-x", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20",
                "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4",
            ]
        words += options
        if let port { words += ["-p", "\(port)"] }
        if let user { words += ["-l", user] }
        return words + ["--", host, command]
    }
}

/// The `ssh` that is run.
public struct SSHProgram: Sendable, Hashable {
    /// The program and options that come first.
    public var words: [String]

    public init(words: [String]) { self.words = words }

    /// `DR_SSH_COMMAND`, split at spaces, else `ssh`.
    ///
    /// - Parameter environment: That of the process.
    public init(environment: [String: String]) {
        let named = environment["DR_SSH_COMMAND"]?.split(separator: " ").map(String.init) ?? []
        words = named.isEmpty ? ["ssh"] : named
    }
}
