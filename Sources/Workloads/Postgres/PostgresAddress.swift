import Model

/// How libpq reaches a server, as environment variables: no part of it shows in a list of processes.
///
/// - SeeAlso: PostgreSQL, "libpq", "Connection URIs" and "Environment Variables".
public struct PostgresAddress: Sendable, Hashable {
    /// `PGHOST`, `PGPORT`, `PGUSER`… as far as they are given; may hold a password.
    public private(set) var environment: [String: String] = [:]
    /// The database to connect to for what concerns the whole cluster; nil for `postgres`.
    public private(set) var database: String?

    /// The server that libpq finds by itself.
    public init() {}

    /// Reads a connection URI.
    ///
    /// - Throws: ``Failure`` (usage) for what is not one, or for a parameter without a variable.
    public init(uri: String) throws {
        guard let scheme = ["postgresql://", "postgres://"].first(where: uri.hasPrefix) else {
            throw Failure(
                .usage, "not a PostgreSQL connection URI: it must begin with postgresql://")
        }
        var rest = uri.dropFirst(scheme.count)
        var query: Substring = ""
        if let mark = rest.firstIndex(of: "?") {
            query = rest[rest.index(after: mark)...]
            rest = rest[..<mark]
        }
        if let slash = rest.firstIndex(of: "/") {
            let name = try Self.decode(rest[rest.index(after: slash)...])
            if !name.isEmpty { database = name }
            rest = rest[..<slash]
        }
        if let at = rest.lastIndex(of: "@") {
            let user = rest[..<at]
            rest = rest[rest.index(after: at)...]
            let parts = user.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            try set("PGUSER", parts[0])
            if parts.count == 2 { try set("PGPASSWORD", parts[1]) }
        }
        try readHosts(rest)
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            let value = parts.count == 2 ? parts[1] : ""
            if name == "dbname" {
                database = try Self.decode(value)
            } else if let variable = Self.variables[name] {
                try set(variable, value)
            } else {
                throw Failure(
                    .usage, "connection URI: the parameter \(printable(name.utf8)) is not known")
            }
        }
    }

    /// Sets the user, whatever the URI says.
    mutating func use(user: String) { environment["PGUSER"] = user }

    /// Sets the password, whatever the URI says.
    mutating func use(password: String) { environment["PGPASSWORD"] = password }

    /// The user to connect as, where one is given.
    public var user: String? { environment["PGUSER"] }

    /// Whether the server is reached through a socket of the file system.
    var isSocket: Bool {
        guard environment["PGHOSTADDR"] == nil else { return false }
        return environment["PGHOST"]?.split(separator: ",").allSatisfy { $0.hasPrefix("/") } ?? true
    }

    /// Whether the server goes by the system's user: through a socket, without a password.
    var asksWhoIsCalling: Bool {
        isSocket && environment["PGPASSWORD"] == nil && environment["PGPASSFILE"] == nil
    }

    /// For people: where, never with a password.
    var description: String {
        let host = environment["PGHOST"] ?? environment["PGHOSTADDR"] ?? "the local socket"
        return environment["PGPORT"].map { "\(host) port \($0)" } ?? host
    }

    private mutating func set(_ variable: String, _ value: Substring) throws {
        let decoded = try Self.decode(value)
        if !decoded.isEmpty { environment[variable] = decoded }
    }

    /// `host:port,host:port`, with IPv6 addresses in brackets.
    private mutating func readHosts(_ text: Substring) throws {
        var hosts: [String] = []
        var ports: [String] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            var host = part
            var port: Substring = ""
            if part.hasPrefix("["), let end = part.firstIndex(of: "]") {
                host = part[part.index(after: part.startIndex)..<end]
                port = part[part.index(after: end)...].drop { $0 == ":" }
            } else if let colon = part.lastIndex(of: ":") {
                host = part[..<colon]
                port = part[part.index(after: colon)...]
            }
            hosts.append(try Self.decode(host))
            ports.append(String(port))
        }
        if hosts.contains(where: { !$0.isEmpty }) {
            environment["PGHOST"] = hosts.joined(separator: ",")
        }
        if ports.contains(where: { !$0.isEmpty }) {
            environment["PGPORT"] = ports.joined(separator: ",")
        }
    }

    private static func decode(_ text: Substring) throws -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let decoded = Hexadecimal.decode(String(decoding: rest.prefix(2), as: UTF8.self)),
                decoded.count == 1, decoded[0] != 0
            else { throw Failure(.usage, "connection URI: a % without two hexadecimal digits") }
            bytes += decoded
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static let variables = [
        "host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "user": "PGUSER",
        "password": "PGPASSWORD", "passfile": "PGPASSFILE", "sslmode": "PGSSLMODE",
        "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "sslrootcert": "PGSSLROOTCERT",
        "sslcrl": "PGSSLCRL", "sslcrldir": "PGSSLCRLDIR", "sslsni": "PGSSLSNI",
        "sslcompression": "PGSSLCOMPRESSION", "requirepeer": "PGREQUIREPEER",
        "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
        "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
        "sslnegotiation": "PGSSLNEGOTIATION", "sslcertmode": "PGSSLCERTMODE",
        "channel_binding": "PGCHANNELBINDING", "require_auth": "PGREQUIREAUTH",
        "gssencmode": "PGGSSENCMODE", "krbsrvname": "PGKRBSRVNAME", "gsslib": "PGGSSLIB",
        "connect_timeout": "PGCONNECT_TIMEOUT", "client_encoding": "PGCLIENTENCODING",
        "options": "PGOPTIONS", "application_name": "PGAPPNAME", "service": "PGSERVICE",
        "target_session_attrs": "PGTARGETSESSIONATTRS",
        "load_balance_hosts": "PGLOADBALANCEHOSTS",
    ]
}
