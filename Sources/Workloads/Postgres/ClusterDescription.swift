import Model

/// What of a cluster is neither in the dumps nor in the globals; the document `cluster.json`.
struct ClusterDescription: Codable, Sendable {
    /// For example `15.18 (Debian 15.18-0+deb12u1)`.
    var version: String
    /// For example 150018.
    var versionNumber: Int
    /// The version of the client programs that took the dumps.
    var clientVersion: String
    var dataDirectory: String?
    var hasChecksums: Bool
    /// Options of initdb that make such a cluster again.
    var initdb: [String]
    var databases: [Database]
    var tablespaces: [Tablespace]
    /// Names of the documents with configuration files, by the files' paths.
    var configuration: [String: String] = [:]

    struct Database: Codable, Sendable {
        var name: String
        var owner: String
        var encoding: String
        var collate: String?
        var characterType: String?
        /// `c` for the C library's, `i` for ICU, `b` for built in; nil before PostgreSQL 15.
        var provider: String?
        /// The locale of a provider that is not the C library.
        var locale: String?
        var rules: String?
        var collationVersion: String?
        var isTemplate: Bool
        var connectionLimit: Int
        var tablespace: String
        var comment: String?
        var bytes: UInt64
        /// nil where nothing was ever granted or revoked.
        var grants: [Grant]?
        var settings: [Setting]?
        var extensions: [Extension] = []
    }

    struct Grant: Codable, Sendable {
        /// nil for PUBLIC.
        var role: String?
        var privilege: String
        var canGrant: Bool
    }

    /// `ALTER DATABASE … SET`, or `ALTER ROLE … IN DATABASE … SET` where there is a role.
    struct Setting: Codable, Sendable {
        var role: String?
        /// `name=value`.
        var values: [String]
    }

    struct Extension: Codable, Sendable, Hashable {
        var name: String
        var version: String
        var schema: String
    }

    struct Tablespace: Codable, Sendable {
        var name: String
        var owner: String
        var location: String
    }

    var major: Int { versionNumber / 10000 }

    func database(_ name: String) -> Database? { databases.first { $0.name == name } }
}
