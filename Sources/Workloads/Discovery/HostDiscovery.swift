import Engine
import Glibc
import Model

/// Looks at what runs on this machine itself, outside of containers.
struct HostDiscovery: Sendable {
    let postgres: PostgresDriver
    let mariadb: MariaDBDriver
    let context: WorkloadContext
    let isWanted: @Sendable (String) -> Bool
    /// Where the host's own files are brought back to: not over a machine that runs.
    let restored: String

    func run(_ discovery: inout Discovery, names: inout ServiceNames) async throws {
        let processes = try await BlockingPool.shared.run { LocalProcess.all() }
        let own = LocalProcess.ownNamespace
        let here = processes.filter { $0.namespace == nil || $0.namespace == own }
        for process in Self.mains(of: .postgres, among: here) {
            try await proposePostgres(process, &discovery, &names)
        }
        for process in Self.mains(of: .mariadb, among: here) {
            try await proposeMariaDB(process, &discovery, &names)
        }
    }

    /// The first process of each server of a kind.
    private static func mains(of kind: ServerKind, among processes: [LocalProcess])
        -> [LocalProcess]
    {
        let servers = processes.filter {
            ServerKind(program: $0.name) == kind || ServerKind(program: $0.program) == kind
        }
        let ids = Set(servers.map(\.id))
        return servers.filter { !ids.contains($0.parent) }
    }

    // MARK: MariaDB

    private func proposeMariaDB(
        _ process: LocalProcess, _ discovery: inout Discovery, _ names: inout ServiceNames
    ) async throws {
        let options = process.words.compactMap { word in
            word.hasPrefix("--socket=") ? String(word.dropFirst("--socket=".count)) : nil
        }
        let address = options.first { $0.hasPrefix("/") } ?? "localhost"
        guard isWanted("mariadb") || isWanted(address) else { return }
        let specification = MariaDBSpecification(server: .address(address))
        do {
            let facts = try await mariadb.look(at: specification, context: context)
            var service = ProposedService(name: names.make("mariadb"))
            service.remarks.append(
                "MariaDB \(facts.version) on this machine, with \(facts.description).")
            service.server = .mariadb(specification)
            service.subjects = ["mariadb/\(address)"]
            if facts.isEmpty { service.emptiness = "no table has a row yet" }
            discovery.services.append(service)
        } catch {
            if error is CancellationError { throw error }
            discovery.leftOut.append(
                "MariaDB, process \(process.id): "
                    + printable(Failure(wrapping: error).description.utf8))
        }
    }

    // MARK: PostgreSQL

    private func proposePostgres(
        _ process: LocalProcess, _ discovery: inout Discovery, _ names: inout ServiceNames
    ) async throws {
        guard isWanted("postgres") || process.workingDirectory.map(isWanted) == true else { return }
        guard let directory = process.workingDirectory,
            let place = try await BlockingPool.shared.run({ PostmasterFile(in: directory) })
        else {
            discovery.leftOut.append(
                "PostgreSQL, process \(process.id): its data directory may not be looked at; run dr "
                    + "as root")
            return
        }
        var failure: Failure?
        for user in place.candidateUsers {
            let specification = PostgresSpecification(server: .url(place.address(user: user)))
            do {
                let facts = try await postgres.look(at: specification, context: context)
                var service = ProposedService(name: names.make("postgres"))
                service.remarks.append(
                    "PostgreSQL \(facts.version) on this machine, data in "
                        + "\(printable(directory.utf8)), with \(facts.description).")
                service.server = .postgres(specification)
                service.subjects = ["postgres/\(place.socketDirectory):\(place.port)"]
                if facts.isEmpty { service.emptiness = "no table has a row yet" }
                discovery.services.append(service)
                return
            } catch {
                if error is CancellationError { throw error }
                failure = failure ?? Failure(wrapping: error)
            }
        }
        let why = failure.map { printable($0.description.utf8) } ?? "it has no socket"
        discovery.leftOut.append("PostgreSQL in \(printable(directory.utf8)): \(why)")
    }
}

/// What a running PostgreSQL server writes into its data directory.
struct PostmasterFile: Sendable {
    var port: String
    /// Empty when it listens on none.
    var socketDirectory: String
    /// The system's user that owns the data.
    var owner: String?

    /// May block.
    init?(in directory: String) {
        guard let bytes = try? FileSystem().read("\(directory)/postmaster.pid") else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 5, Int(lines[3]) != nil else { return nil }
        port = String(lines[3])
        socketDirectory = String(lines[4])
        var status = stat()
        if stat(directory, &status) == 0 {
            owner = (try? UserAccount(named: "\(status.st_uid)"))?.name
        }
    }

    /// Whom to connect as: the first superuser is called as the server's owner, by custom.
    var candidateUsers: [String] {
        guard !socketDirectory.isEmpty else { return [] }
        return Array(Set(["postgres", owner ?? "postgres"])).sorted { $0 == "postgres" || $0 < $1 }
    }

    func address(user: String) -> String {
        let port = port == "5432" ? "" : "&port=\(port)"
        return "postgresql://\(user)@/postgres?host=\(socketDirectory)\(port)"
    }
}
