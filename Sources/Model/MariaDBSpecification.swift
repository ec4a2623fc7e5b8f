extension WorkloadSpecification {
    /// The container of a database server that is dumped, and its Engine where one is named; nil for
    /// everything else.
    public var serverContainer: (name: String, engine: String?)? {
        switch self {
        case .postgres(let postgres):
            guard case .container(let name, let engine) = postgres.server else { return nil }
            return (name, engine)
        case .mariadb(let mariadb):
            guard case .container(let name, let engine) = mariadb.server else { return nil }
            return (name, engine)
        case .files, .sqlite, .docker, .command, .proxmox: return nil
        }
    }
}

/// A MariaDB or MySQL server.
public struct MariaDBSpecification: Sendable, Hashable {
    public enum Server: Sendable, Hashable {
        /// In a container of that name; nil for the configuration's Engine.
        case container(String, engine: String?)
        /// `localhost`, the path of a socket, or a host with a port.
        case address(String)
    }

    public var server: Server
    /// Databases to save; empty for all but the server's own.
    public var databases: [String]
    /// Whom to connect as; nil for `root`.
    public var user: String?
    /// Nil for none, and in a container for what the container was made with.
    public var password: SecretSource?
    /// The machine on which the client programs of a server with an address run; nil for this one.
    public var host: String?

    public init(
        server: Server, databases: [String] = [], user: String? = nil,
        password: SecretSource? = nil, host: String? = nil
    ) {
        self.server = server
        self.databases = databases
        self.user = user
        self.password = password
        self.host = host
    }

    public var name: String {
        switch server {
        case .container(let name, _): name
        case .address: "server"
        }
    }
}
