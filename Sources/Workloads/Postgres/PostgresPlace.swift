import CLinux
import Engine
import Glibc
import Model

/// Finds the way to a server: which programs, where they run, as whom.
struct PostgresPlace: Sendable {
    let container: PostgresDriver.ContainerRunner

    /// The server of `specification`, with the client programs that fit it once ``fitting(_:)`` has
    /// looked.
    func client(
        _ specification: PostgresSpecification, context: WorkloadContext
    ) async throws -> PostgresClient {
        let password: String?
        if let source = specification.password {
            password = try await context.secrets.read(source)
        } else {
            password = nil
        }
        switch specification.server {
        case .url(let uri):
            var address = try PostgresAddress(uri: uri)
            if let user = specification.user { address.use(user: user) }
            if let password { address.use(password: password) }
            if let host = specification.host {
                return try await client(at: address, on: SSHDestination(address: host))
            }
            let user = try await systemUser(for: address)
            let directory = try await BlockingPool.shared.run { Self.newestLocalDirectory() }
            return PostgresClient(
                programs: LocalPrograms(), name: "server at \(address.description)",
                address: address, systemUser: user, directory: directory)
        case .container(let name, let engine):
            let programs = try await container(name, engine, context)
            var address = PostgresAddress()
            if let password { address.use(password: password) }
            if let user = specification.user {
                address.use(user: user)
            } else {
                address.use(user: try await Self.superuser(in: programs))
            }
            return PostgresClient(
                programs: programs, name: "server in container \(name)", address: address,
                systemUser: nil, directory: "")
        }
    }

    /// The same server with the programs of its own major version, where this machine has them.
    static func fitting(_ client: PostgresClient, major: Int) async throws -> PostgresClient {
        guard client.installed.isEmpty else {
            let own = localDirectories(major: "\(major)").first { client.installed.contains($0) }
            return own.map { client.using(directory: $0) } ?? client
        }
        guard client.programs is LocalPrograms else { return client }
        let found = try await BlockingPool.shared.run {
            localDirectories(major: "\(major)").first { access($0 + "pg_dump", X_OK) == 0 }
        }
        return found.map { client.using(directory: $0) } ?? client
    }

    /// A socket asks who is calling: root calls as the user that has the database user's name.
    private func systemUser(for address: PostgresAddress) async throws -> String? {
        guard geteuid() == 0, address.asksWhoIsCalling else { return nil }
        let user = address.user ?? "postgres"
        return try await BlockingPool.shared.run { (try? UserAccount(named: user)) != nil }
            ? user : nil
    }

    /// The server as the machine at `destination` reaches it, by the programs that are there.
    private func client(
        at address: PostgresAddress, on destination: SSHDestination
    ) async throws -> PostgresClient {
        let programs = SSHPrograms(on: destination)
        let user = address.user ?? "postgres"
        let script =
            #"id -u; id -u "$1" 2>/dev/null || echo none; "#
            + "for d in /usr/lib/postgresql/*/bin/ /usr/pgsql-*/bin/; do "
            + #"test -x "${d}psql" && echo "$d"; done; :"#
        let result = try await programs.run(
            ProgramCall(["sh", "-c", script, "dr", user], timeout: TimeSpan(seconds: 60)))
        var lines = result.text.split(separator: "\n").map(String.init)
        guard result.succeeded, lines.count >= 2 else {
            throw result.failure("looking for PostgreSQL on \(destination)", side: .source)
        }
        let (caller, owner) = (lines.removeFirst(), lines.removeFirst())
        let isPeer = caller == "0" && owner != "none" && address.asksWhoIsCalling
        let newest = lines.max { Self.major(of: $0) < Self.major(of: $1) }
        return PostgresClient(
            programs: programs, name: "server at \(address.description) on \(destination)",
            address: address, systemUser: isPeer ? user : nil, directory: newest ?? "",
            installed: lines)
    }

    /// The number in `/usr/lib/postgresql/15/bin/`.
    private static func major(of directory: String) -> Int {
        Int(directory.filter(\.isNumber)) ?? 0
    }

    /// The superuser that the image's entrypoint made.
    private static func superuser(in programs: any ProgramRunner) async throws -> String {
        let script =
            "if [ -n \"$POSTGRES_USER_FILE\" ]; then cat \"$POSTGRES_USER_FILE\"; "
            + "else echo \"${POSTGRES_USER:-postgres}\"; fi"
        let result = try await programs.run(
            ProgramCall(["sh", "-c", script], timeout: TimeSpan(seconds: 60)))
        let user = result.text.filter { !$0.isNewline }
        return result.succeeded && !user.isEmpty ? user : "postgres"
    }

    /// Debian's places and Red Hat's.
    static func localDirectories(major: String) -> [String] {
        ["/usr/lib/postgresql/\(major)/bin/", "/usr/pgsql-\(major)/bin/"]
    }

    /// Where the newest psql of this machine is; empty for `PATH`.
    private static func newestLocalDirectory() -> String {
        let installed = ((try? FileSystem().names(in: "/usr/lib/postgresql")) ?? [])
            .compactMap { Int($0) }.sorted(by: >)
        for major in installed {
            for directory in localDirectories(major: "\(major)")
            where access(directory + "psql", X_OK) == 0 { return directory }
        }
        return ""
    }
}
