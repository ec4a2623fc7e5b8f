import Model

// The key `mariadb:` of a service.
extension ConfigurationShape {
    static let mariadbKey = KeyShape(
        name: "mariadb", shape: .record(mariadb),
        summary: "A MariaDB or MySQL server: its users and its databases",
        example: "{container: nextcloud-db}")

    private static let mariadb = RecordShape(
        keys: [
            KeyShape(
                name: "container", shape: .text(.any),
                summary: "The server's container; its own client programs are used",
                example: "nextcloud-db"),
            KeyShape(
                name: "address", shape: .text(.any),
                summary: "`localhost`, the path of the server's socket, or host:port",
                example: "localhost"),
            serverHostKey("address"),
            KeyShape(
                name: "databases", shape: .oneOrMore(.text(.any)),
                summary: "The databases to save", absent: "all but the server's own",
                example: "[nextcloud]"),
            KeyShape(
                name: "user", shape: .text(.any), summary: "The user to connect as",
                absent: "`root`", example: "root"),
        ]
            + KeyShape.secret(
                "password", "the password",
                absent: "no password; in a container the one it was made with",
                example: "nextcloud-db"),
        exactlyOne: ["container", "address"], atMostOne: KeyShape.secretNames("password"))
}

extension ServiceReader {
    func mariadb(_ value: ConfigurationValue) -> MariaDBSpecification? {
        let server: MariaDBSpecification.Server
        if let name = value["container"]?.text {
            server = .container(name, engine: value["host"]?.text)
        } else if let address = value["address"]?.text {
            server = .address(address)
        } else {
            return nil
        }
        return MariaDBSpecification(
            server: server, databases: value["databases"]?.texts ?? [],
            user: value["user"]?.text, password: password(value),
            host: value["address"] == nil ? nil : value["host"]?.text)
    }
}

extension ConfigurationDocument {
    func mariadb(_ mariadb: MariaDBSpecification) -> JSONValue {
        var members: [JSONMember] = []
        switch mariadb.server {
        case .container(let name, _): members.append(JSONMember("container", .string(name)))
        case .address(let address): members.append(JSONMember("address", .string(address)))
        }
        if let host = WorkloadSpecification.mariadb(mariadb).serverContainer?.engine ?? mariadb.host
        {
            members.append(JSONMember("host", .string(host)))
        }
        if !mariadb.databases.isEmpty {
            members.append(JSONMember("databases", .strings(mariadb.databases)))
        }
        if let user = mariadb.user { members.append(JSONMember("user", .string(user))) }
        if let source = mariadb.password { members.append(secret(source, "password")) }
        return .object(members)
    }

    /// Where a secret comes from, as the key of its kind: `password_file` and the like.
    func secret(_ source: SecretSource, _ name: String) -> JSONMember {
        switch source {
        case .file(let path): JSONMember("\(name)_file", .string(path))
        case .environment(let variable): JSONMember("\(name)_env", .string(variable))
        case .command(let words): JSONMember("\(name)_command", .strings(words))
        }
    }
}
