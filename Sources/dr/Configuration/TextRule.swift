import Engine
import Model
import Repository

/// What a text of the configuration stands for, and which texts can.
enum TextRule: Sendable, CaseIterable {
    /// Any text that is not empty.
    case any
    /// The name of a service, group or command: it becomes part of lasting names.
    case name
    /// A file or directory of this machine.
    case path
    /// A directory, or the address of a bucket or of a directory that ssh reaches.
    case repository
    /// A pattern for paths.
    case glob
    case webAddress
    case hostAndPort
    case postgresAddress
    case dockerAddress
    case machine
    case variable
    /// Like `webAddress`, for a receiver of messages: it may hold a secret, and is never shown.
    case receiver
    case mailAddress
    /// The number of a port.
    case port
    /// An IPv4 network in CIDR notation.
    case subnet

    var phrase: String {
        switch self {
        case .any: "a text"
        case .name: "a name"
        case .path: "a path"
        case .repository: "a path or an address"
        case .glob: "a pattern"
        case .webAddress: "an http or https address"
        case .hostAndPort: "host:port"
        case .postgresAddress: "a postgresql:// address"
        case .dockerAddress: "a unix:// or ssh:// address"
        case .machine: "an ssh:// address"
        case .variable: "the name of an environment variable"
        case .receiver: "an http or https address"
        case .mailAddress: "a mail address"
        case .port: "the number of a port"
        case .subnet: "a network like 172.31.5.0/24"
        }
    }

    var plural: String {
        switch self {
        case .any: "texts"
        case .name: "names"
        case .path: "paths"
        case .glob: "patterns"
        case .port: "ports"
        case .subnet: "networks"
        default: "addresses"
        }
    }

    /// A regular expression (ECMA-262, anchored) that says the same as far as one can.
    var pattern: String {
        switch self {
        case .any, .glob: "."
        case .name: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
        case .path: "^[^~]"
        case .repository: "^(s3|sftp):.|^(?!~)(?![A-Za-z0-9+.-]+:/)."
        case .webAddress: "^https?://[^/?#@\\s]+([/?#]\\S*)?$"
        case .hostAndPort: "^(\\[[0-9A-Fa-f:.%]+\\]|[^:/\\s@]+):[0-9]{1,5}$"
        case .postgresAddress: "^postgres(ql)?://"
        case .dockerAddress: "^(unix:///|ssh://)."
        case .machine: "^ssh://[^/]+$"
        case .variable: "^[A-Za-z_][A-Za-z0-9_]*$"
        case .receiver: "^https?://[^/?#@\\s]+([/?#]\\S*)?$"
        case .mailAddress: "^[^\\s@,<>-][^\\s@,<>]*@[^\\s@,<>]+$|^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
        case .port: "^[1-9][0-9]{0,4}$"
        case .subnet: "^[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}$"
        }
    }

    /// Why `text` cannot be one; nil when it can. `message` completes "<path> ".
    func problem(with text: String) -> (message: String, hint: String?)? {
        if text.isEmpty { return ("is empty", "write \(phrase)") }
        switch self {
        case .any, .glob: return nil
        case .name: return Self.nameProblem(text)
        case .path: return Self.pathProblem(text)
        case .repository: return Self.repositoryProblem(text)
        case .webAddress: return Self.webProblem(text)
        case .hostAndPort:
            if Self.hostAndPort(text) != nil { return nil }
            return (
                "must be host:port, not \"\(text)\"",
                "write for example 127.0.0.1:5432 or [::1]:5432"
            )
        case .postgresAddress: return Self.postgresProblem(text)
        case .dockerAddress: return Self.dockerProblem(text)
        case .machine:
            if (try? SSHDestination(address: text)) != nil { return nil }
            return (
                "must name a machine as ssh://user@host, not \"\(text)\"",
                "write for example ssh://root@host"
            )
        case .variable:
            let first = text.utf8.first.map { !(48...57).contains($0) } ?? false
            let rest = text.utf8.allSatisfy { Self.isAlphanumeric($0) || $0 == 95 }
            if first, rest { return nil }
            return ("must be the name of an environment variable, not \"\(text)\"", nil)
        case .receiver: return Self.receiverProblem(text)
        case .mailAddress: return Self.mailProblem(text)
        case .port: return Self.portProblem(text)
        case .subnet: return Self.subnetProblem(text)
        }
    }

    private static func portProblem(_ text: String) -> (String, String?)? {
        let isNumber = text.utf8.count <= 5 && text.utf8.allSatisfy { (48...57).contains($0) }
        if isNumber, !text.hasPrefix("0"), let port = Int(text), port <= 65535 { return nil }
        return ("must be the number of a port, not \"\(text)\"", "write for example 8080")
    }

    private static func subnetProblem(_ text: String) -> (String, String?)? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let bytes = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        let isNetwork =
            parts.count == 2 && bytes.count == 4 && bytes.allSatisfy { UInt8($0) != nil }
            && UInt8(parts[1]).map { $0 <= 32 } ?? false
        if isNetwork { return nil }
        return (
            "must be a network like 172.31.5.0/24, not \"\(text)\"",
            "write the address, a slash and the number of its fixed bits"
        )
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
    }

    private static func nameProblem(_ text: String) -> (String, String?)? {
        let bytes = Array(text.utf8)
        let isValid =
            bytes.count <= 63 && isAlphanumeric(bytes[0])
            && bytes.allSatisfy { isAlphanumeric($0) || [45, 46, 95].contains($0) }
        if isValid { return nil }
        return (
            "is not a name that can be used: \"\(text)\"",
            "use up to 63 letters, digits, dots, dashes and underscores"
        )
    }

    private static func pathProblem(_ text: String) -> (String, String?)? {
        guard text.hasPrefix("~") else { return nil }
        return ("begins with ~, which only a shell knows: \"\(text)\"", "write the whole path")
    }

    private static func repositoryProblem(_ text: String) -> (String, String?)? {
        do throws(StorePlace.Problem) {
            return try StorePlace(parsing: text).isDirectory ? pathProblem(text) : nil
        } catch {
            return (error.message, error.hint)
        }
    }

    private static func webProblem(_ text: String) -> (String, String?)? {
        let hint = "write for example http://127.0.0.1:8080/health"
        guard let address = WebAddress(text), ["http", "https"].contains(address.scheme) else {
            return ("must be an http or https address, not \"\(text)\"", hint)
        }
        if address.user != nil {
            return (
                "holds a user or password, which would show up in reports",
                "use an address that answers without one"
            )
        }
        return nil
    }

    private static func receiverProblem(_ text: String) -> (String, String?)? {
        guard let address = WebAddress(text), ["http", "https"].contains(address.scheme),
            !text.utf8.contains(where: { $0 <= 32 || $0 == 127 })
        else {
            return (
                "must be an http or https address",
                "write for example https://ntfy.example.org/backups"
            )
        }
        if address.user != nil {
            return ("holds a user or password", "take it out and use token_file")
        }
        return nil
    }

    /// A user of this machine, or an address elsewhere; never an option of sendmail, or several.
    private static func mailProblem(_ text: String) -> (String, String?)? {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        let isPlain = text.utf8.allSatisfy { byte in
            byte > 32 && byte < 127 && !",;<>()[]\\\"".utf8.contains(byte)
        }
        if parts.count <= 2, parts.allSatisfy({ !$0.isEmpty }), isPlain, !text.hasPrefix("-") {
            return nil
        }
        return ("must be one mail address, not \"\(text)\"", "write for example root@example.org")
    }

    private static func postgresProblem(_ text: String) -> (String, String?)? {
        guard let scheme = text.firstRange(of: "://").map({ text[..<$0.lowerBound] }),
            scheme == "postgresql" || scheme == "postgres"
        else {
            return (
                "must be a postgresql:// address, not \"\(hidingPassword(text))\"",
                "write for example postgresql://postgres@/postgres?host=/run/postgresql"
            )
        }
        let rest = text.dropFirst(scheme.count + 3)
        let authority = rest.prefix { !"/?#".contains($0) }
        let userInformation = authority.lastIndex(of: "@").map { authority[..<$0] } ?? ""
        let query = rest.split(separator: "?", maxSplits: 1).dropFirst().first ?? ""
        let parameters = query.split(separator: "&").map { $0.prefix { $0 != "=" } }
        if userInformation.contains(":") || parameters.contains("password") {
            return (
                "holds a password",
                "take it out and use password_file, password_env or password_command"
            )
        }
        return nil
    }

    /// What may be shown of an address that may hold a password and was not understood.
    private static func hidingPassword(_ text: String) -> String {
        text.contains("@") || text.contains("password") ? "..." : text
    }

    private static func dockerProblem(_ text: String) -> (String, String?)? {
        if text.hasPrefix("unix:///"), text.utf8.count > 8 { return nil }
        let hint = "write for example unix:///var/run/docker.sock"
        if text.hasPrefix("ssh://") {
            let host = String(text.dropFirst("ssh://".count).prefix { $0 != "/" })
            if (try? SSHDestination(parsing: host)) != nil { return nil }
            return (
                "must name a machine after ssh://, not \"\(text)\"",
                "write for example ssh://root@host"
            )
        }
        for scheme in ["tcp://", "http://", "https://", "npipe://"]
        where text.hasPrefix(scheme) {
            return ("is not supported by this version: \(scheme)", hint)
        }
        return ("must be a unix:// or ssh:// address, not \"\(text)\"", hint)
    }

    /// The two halves of `host:port`; an IPv6 address stands in brackets and comes without them.
    static func hostAndPort(_ text: String) -> (host: String, port: Int)? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        var host = String(text[..<colon])
        let digits = text[text.index(after: colon)...]
        guard digits.utf8.count <= 5, digits.utf8.allSatisfy({ (48...57).contains($0) }),
            let port = Int(digits), (1...65535).contains(port)
        else { return nil }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
            guard host.contains(":") else { return nil }
        } else if host.contains(where: { ":/@[] \t".contains($0) }) {
            return nil
        }
        return host.isEmpty ? nil : (host, port)
    }
}

/// The parts of `scheme://user@host:port/rest` that matter here.
struct WebAddress: Sendable, Hashable {
    var scheme: String
    var user: String?
    var host: String
    var port: Int?

    /// Nil when `text` is none.
    init?(_ text: String) {
        guard let separator = text.firstRange(of: "://"), !text.contains(where: \.isWhitespace)
        else {
            return nil
        }
        scheme = text[..<separator.lowerBound].lowercased()
        var authority = text[separator.upperBound...].prefix { !"/?#".contains($0) }
        if let at = authority.lastIndex(of: "@") {
            user = String(authority[..<at])
            authority = authority[authority.index(after: at)...]
        }
        let hasPort =
            authority.hasPrefix("[")
            ? !authority.hasSuffix("]") : authority.contains(":")
        if hasPort {
            guard let (name, number) = TextRule.hostAndPort(String(authority)) else { return nil }
            host = name
            port = number
        } else {
            host = String(authority)
        }
        if scheme.isEmpty || host.isEmpty { return nil }
    }
}
