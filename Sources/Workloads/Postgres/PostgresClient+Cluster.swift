import Engine
import Model

extension PostgresClient {
    /// The server's version as a number, for example 150018.
    func versionNumber() async throws -> Int {
        guard let number = Int(try await text("SHOW server_version_num")) else {
            throw Failure(.failed, "\(name): its version is not understood", side: .source)
        }
        return number
    }

    /// Everything of the cluster that no dump holds.
    func describe(clientVersion: String) async throws -> ClusterDescription {
        struct Cluster: Decodable {
            var version: String
            var versionNumber: Int
            var hasChecksums: Bool
            var initdb: [String: String]
            var databases: [Database]
            var tablespaces: [ClusterDescription.Tablespace]
        }
        struct Database: Decodable {
            var row: Row
            var owner: String
            var encoding: String
            var tablespace: String
            var comment: String?
            var bytes: UInt64
            var grants: [ClusterDescription.Grant]?
            var settings: [ClusterDescription.Setting]?
        }
        /// A row of pg_database, whose columns differ from version to version.
        struct Row: Decodable {
            var datname: String
            var datcollate: String?
            var datctype: String?
            var datlocprovider: String?
            var daticulocale: String?
            var datlocale: String?
            var daticurules: String?
            var datcollversion: String?
            var datistemplate: Bool
            var datconnlimit: Int
        }
        let cluster = try await query(Cluster.self, Self.clusterQuery)
        var description = ClusterDescription(
            version: cluster.version, versionNumber: cluster.versionNumber,
            clientVersion: clientVersion, dataDirectory: nil,
            hasChecksums: cluster.hasChecksums, initdb: [], databases: [],
            tablespaces: cluster.tablespaces)
        // Only a superuser may know.
        description.dataDirectory = try? await text("SHOW data_directory")
        for database in cluster.databases {
            let row = database.row
            description.databases.append(
                ClusterDescription.Database(
                    name: row.datname, owner: database.owner, encoding: database.encoding,
                    collate: row.datcollate, characterType: row.datctype,
                    provider: row.datlocprovider, locale: row.datlocale ?? row.daticulocale,
                    rules: row.daticurules, collationVersion: row.datcollversion,
                    isTemplate: row.datistemplate, connectionLimit: row.datconnlimit,
                    tablespace: database.tablespace, comment: database.comment,
                    bytes: database.bytes, grants: database.grants, settings: database.settings))
        }
        description.initdb = Self.initdb(cluster.initdb, hasChecksums: cluster.hasChecksums)
        return description
    }

    /// The extensions of a database, without plpgsql, which every database has.
    func extensions(of database: String) async throws -> [ClusterDescription.Extension] {
        try await query(
            [ClusterDescription.Extension].self,
            """
            SELECT coalesce(json_agg(json_build_object('name', extname, 'version', extversion, \
            'schema', nspname) ORDER BY extname), '[]') FROM pg_extension e \
            JOIN pg_namespace n ON n.oid = extnamespace WHERE extname <> 'plpgsql'
            """, in: database)
    }

    /// A configuration file of the server.
    struct ConfigurationFile: Decodable, Sendable {
        var path: String
        /// Base 64; nil for a file that is not there.
        var content: String?
    }

    /// The server's configuration files, what they include as well.
    ///
    /// - Throws: ``Failure`` where this user may not read them.
    func configurationFiles() async throws -> [ConfigurationFile] {
        try await query(
            [ConfigurationFile].self,
            """
            SELECT coalesce(json_agg(json_build_object('path', f, 'content', \
            encode(pg_read_binary_file(f, 0, 16000000, true), 'base64')) ORDER BY f), '[]') \
            FROM (SELECT setting AS f FROM pg_settings \
            WHERE name IN ('config_file', 'hba_file', 'ident_file') \
            UNION SELECT current_setting('data_directory') || '/postgresql.auto.conf' \
            UNION SELECT sourcefile FROM pg_file_settings WHERE sourcefile IS NOT NULL) files
            """)
    }

    private static let clusterQuery = """
        SELECT json_build_object('version', current_setting('server_version'), \
        'versionNumber', current_setting('server_version_num')::int, \
        'hasChecksums', current_setting('data_checksums') = 'on', \
        'initdb', json_build_object(\
        'username', (SELECT rolname FROM pg_roles WHERE oid = 10), \
        'wal-segsize', (SELECT CASE unit WHEN 'B' THEN setting::bigint / 1048576 \
        ELSE setting::bigint / 64 END::text FROM pg_settings WHERE name = 'wal_segment_size'), \
        'encoding', (SELECT pg_encoding_to_char(encoding) FROM pg_database \
        WHERE datname = 'template0'), \
        'row', (SELECT to_jsonb(d) FROM pg_database d WHERE datname = 'template0')::text, \
        'lc-messages', current_setting('lc_messages'), \
        'lc-monetary', current_setting('lc_monetary'), \
        'lc-numeric', current_setting('lc_numeric'), \
        'lc-time', current_setting('lc_time')), \
        'tablespaces', (SELECT coalesce(json_agg(json_build_object('name', spcname, 'owner', \
        pg_get_userbyid(spcowner), 'location', pg_tablespace_location(oid)) ORDER BY spcname), \
        '[]') FROM pg_tablespace WHERE oid >= 16384), \
        'databases', (SELECT coalesce(json_agg(json_build_object('row', to_jsonb(d) - 'datacl', \
        'owner', pg_get_userbyid(datdba), 'encoding', pg_encoding_to_char(encoding), \
        'tablespace', (SELECT spcname FROM pg_tablespace s WHERE s.oid = dattablespace), \
        'comment', shobj_description(d.oid, 'pg_database'), 'bytes', \
        CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) ELSE 0 END, \
        'grants', CASE WHEN datacl IS NULL THEN NULL ELSE (SELECT coalesce(json_agg(\
        json_build_object('role', CASE grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(grantee) END, \
        'privilege', privilege_type, 'canGrant', is_grantable)), '[]') FROM aclexplode(datacl)) END, \
        'settings', (SELECT json_agg(json_build_object('role', CASE setrole WHEN 0 THEN NULL \
        ELSE pg_get_userbyid(setrole) END, 'values', setconfig)) FROM pg_db_role_setting \
        WHERE setdatabase = d.oid)) ORDER BY datname), '[]') FROM pg_database d \
        WHERE datallowconn AND datconnlimit <> -2 AND datname <> 'template1'))
        """

    private static func initdb(_ facts: [String: String], hasChecksums: Bool) -> [String] {
        struct Row: Decodable {
            var datcollate: String?
            var datctype: String?
            var datlocprovider: String?
            var daticulocale: String?
            var datlocale: String?
        }
        var options: [String] = []
        func add(_ name: String, _ value: String?) {
            if let value { options.append("--\(name)=\(value)") }
        }
        add("username", facts["username"])
        add("encoding", facts["encoding"])
        let row = facts["row"].flatMap { try? StableJSON.decode(Row.self, from: Array($0.utf8)) }
        add("lc-collate", row?.datcollate)
        add("lc-ctype", row?.datctype)
        for name in ["lc-messages", "lc-monetary", "lc-numeric", "lc-time"] {
            add(name, facts[name])
        }
        switch row?.datlocprovider {
        case "i":
            add("locale-provider", "icu")
            add("icu-locale", row?.datlocale ?? row?.daticulocale)
        case "b":
            add("locale-provider", "builtin")
            add("builtin-locale", row?.datlocale)
        default: break
        }
        if let size = facts["wal-segsize"], size != "16" { add("wal-segsize", size) }
        if hasChecksums { options.append("--data-checksums") }
        return options
    }
}
