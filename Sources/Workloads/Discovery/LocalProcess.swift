import Engine
import Glibc
import Model

/// A process of this machine, as `/proc` shows it.
struct LocalProcess: Sendable {
    var id: Int32
    var parent: Int32
    /// The program's name, at most 15 bytes.
    var name: String
    /// The program and its arguments; the program's own title where it changed it.
    var words: [String]
    /// Which process ids it sees; nil where that may not be known.
    var namespace: String?

    /// The last component of its program's path.
    var program: String { Self.program(of: words.first ?? name) }

    /// The last component of a program's path, without what a title adds.
    static func program(of word: String) -> String {
        let first = word.split(separator: " ").first.map(String.init) ?? word
        let name = first.split(separator: "/").last.map(String.init) ?? first
        return name.hasSuffix(":") ? String(name.dropLast()) : name
    }

    /// All processes. May block.
    static func all() -> [LocalProcess] {
        let files = FileSystem()
        let names = (try? files.names(in: "/proc")) ?? []
        return names.compactMap { Int32($0) }.sorted().compactMap { id in
            guard let status = try? files.read("/proc/\(id)/stat"),
                let parent = Self.parent(String(decoding: status, as: UTF8.self))
            else { return nil }
            let line = (try? files.read("/proc/\(id)/cmdline")) ?? []
            let name = (try? files.read("/proc/\(id)/comm")) ?? []
            return LocalProcess(
                id: id, parent: parent,
                name: String(decoding: name.prefix { $0 != 10 }, as: UTF8.self),
                words: line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) },
                namespace: link("/proc/\(id)/ns/pid"))
        }
    }

    /// Its working directory; nil where that may not be known.
    var workingDirectory: String? { Self.link("/proc/\(id)/cwd") }

    /// The process ids that this process sees.
    static var ownNamespace: String? { link("/proc/self/ns/pid") }

    /// The fourth field; the second is in brackets and may hold anything.
    private static func parent(_ status: String) -> Int32? {
        guard let end = status.lastIndex(of: ")") else { return nil }
        let fields = status[end...].split(separator: " ")
        return fields.count > 2 ? Int32(fields[2]) : nil
    }

    private static func link(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &buffer, buffer.count)
        guard count > 0 else { return nil }
        return String(
            decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// A database server by what runs, not by what its image is called.
enum ServerKind: Sendable, Hashable {
    case postgres
    case mariadb
    /// Another one, whose files are whole at any one moment.
    case other(String)

    /// The kind of server that a program is; nil for any other program.
    init?(program: String) {
        switch program {
        case "postgres", "postmaster": self = .postgres
        case "mariadbd", "mysqld": self = .mariadb
        case "mongod": self = .other("MongoDB")
        case "redis-server", "valkey-server", "keydb-server": self = .other("Redis")
        case "influxd": self = .other("InfluxDB")
        case "etcd": self = .other("etcd")
        case "clickhouse-server", "clickhouse": self = .other("ClickHouse")
        default: return nil
        }
    }

    /// The kind of server that a data directory belongs to; nil for any other directory.
    init?(directory: String) {
        func has(_ name: String) -> Bool { access("\(directory)/\(name)", F_OK) == 0 }
        if has("PG_VERSION"), has("global") {
            self = .postgres
        } else if has("ibdata1"), has("mysql") {
            self = .mariadb
        } else if has("WiredTiger") {
            self = .other("MongoDB")
        } else {
            return nil
        }
    }

    var title: String {
        switch self {
        case .postgres: "PostgreSQL"
        case .mariadb: "MariaDB"
        case .other(let name): name
        }
    }
}
