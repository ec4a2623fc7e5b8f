import Model

/// What a text of the configuration stands for, and which texts can.
enum TextRule: Sendable, CaseIterable {
    /// Any text that is not empty.
    case any
    /// The name of a service, group or command: it becomes part of lasting names.
    case name
    /// A file or directory of this machine.
    case path
    /// Like `path`, and the repository must be one for now.
    case repository
    /// A pattern for paths.
    case glob
    case webAddress
    case hostAndPort
    case postgresAddress
    case dockerAddress
    case variable

    var phrase: String {
        switch self {
        case .any: "a text"
        case .name: "a name"
        case .path: "a path"
        case .repository: "a path"
        case .glob: "a pattern"
        case .webAddress: "an http or https address"
        case .hostAndPort: "host:port"
        case .postgresAddress: "a postgresql:// address"
        case .dockerAddress: "a unix:// address"
        case .variable: "the name of an environment variable"
        }
    }

    var plural: String {
        switch self {
        case .any: "texts"
        case .name: "names"
        case .path, .repository: "paths"
        case .glob: "patterns"
        default: "addresses"
        }
    }

    /// A regular expression (ECMA-262, anchored) that says the same as far as one can.
    var pattern: String {
        switch self {
        case .any, .glob: "."
        case .name: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
        case .path: "^[^~]"
        case .repository: "^(?!~)(?![A-Za-z0-9+.-]+:/)."
        case .webAddress: "^https?://[^/?#@\\s]+([/?#]\\S*)?$"
        case .hostAndPort: "^(\\[[0-9A-Fa-f:.%]+\\]|[^:/\\s@]+):[0-9]{1,5}$"
        case .postgresAddress: "^postgres(ql)?://"
        case .dockerAddress: "^unix:///."
        case .variable: "^[A-Za-z_][A-Za-z0-9_]*$"
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
        case .variable:
            let first = text.utf8.first.map { !(48...57).contains($0) } ?? false
            let rest = text.utf8.allSatisfy { Self.isAlphanumeric($0) || $0 == 95 }
            if first, rest { return nil }
            return ("must be the name of an environment variable, not \"\(text)\"", nil)
        }
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
        let scheme = text.prefix { $0 != ":" && $0 != "/" }
        guard text.dropFirst(scheme.count).hasPrefix(":/"), !scheme.isEmpty else {
            return pathProblem(text)
        }
        return (
            "names a kind of repository that this version does not support: \(scheme):",
            "write the path of a directory"
        )
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
        for scheme in ["ssh://", "tcp://", "http://", "https://", "npipe://"]
        where text.hasPrefix(scheme) {
            return ("is not supported by this version: \(scheme)", hint)
        }
        return ("must be a unix:// address, not \"\(text)\"", hint)
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
