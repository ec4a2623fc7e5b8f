import CLinux
import Engine
import Glibc
import Model

/// Finds the way to a server: which programs, where they run, as whom.
struct MariaDBPlace: Sendable {
    let container: PostgresDriver.ContainerRunner

    /// The client of a server; does not say yet whether the server answers.
    func client(
        _ specification: MariaDBSpecification, context: WorkloadContext
    ) async throws -> MariaDBClient {
        var environment: [String: String] = [:]
        if let source = specification.password {
            environment["MYSQL_PWD"] = try await context.secrets.read(source)
        }
        let user = "--user=\(specification.user ?? "root")"
        switch specification.server {
        case .address(let address):
            let machine = try specification.host.map(SSHDestination.init(address:))
            let programs: any ProgramRunner
            if let machine {
                programs = SSHPrograms(on: machine)
            } else {
                programs = LocalPrograms()
            }
            let place = machine.map { " on \($0)" }
            let (query, dump) = try await names(programs, place ?? " on this machine")
            return MariaDBClient(
                programs: programs,
                name: "server at \(printable(address.utf8))\(place ?? "")",
                connection: try Self.options(address) + [user], environment: environment,
                usesContainersPassword: false, query: query, dump: dump)
        case .container(let name, let engine):
            let programs = try await container(name, engine, context)
            let (query, dump) = try await names(programs, " in container \(name)")
            return MariaDBClient(
                programs: programs, name: "server in container \(name)", connection: [user],
                environment: environment, usesContainersPassword: specification.password == nil,
                query: query, dump: dump)
        }
    }

    /// A socket's path, `localhost`, or a host with a port.
    private static func options(_ address: String) throws -> [String] {
        if address.hasPrefix("/") { return ["--protocol=socket", "--socket=\(address)"] }
        if address == "localhost" { return ["--protocol=socket"] }
        let parts = address.split(separator: ":", omittingEmptySubsequences: false)
        guard let host = parts.first, !host.isEmpty, parts.count <= 2 else {
            throw Failure(
                .usage, "not the address of a server: \(printable(address.utf8))",
                hint: "write localhost, the path of a socket, or host:3306")
        }
        let port = parts.count == 2 ? String(parts[1]) : "3306"
        return ["--protocol=tcp", "--host=\(host)", "--port=\(port)"]
    }

    /// MariaDB's newer images have no `mysql`, MySQL's have no `mariadb`.
    private func names(
        _ programs: any ProgramRunner, _ place: String
    ) async throws -> (query: String, dump: String) {
        let script =
            "for pair in mariadb:mariadb-dump mysql:mysqldump; do "
            + "if command -v ${pair%:*} >/dev/null && command -v ${pair#*:} >/dev/null; "
            + "then echo $pair; exit; fi; done; exit 3"
        let result = try await programs.run(
            ProgramCall(["sh", "-c", script], timeout: TimeSpan(seconds: 60)))
        let parts = result.text.filter { !$0.isNewline }.split(separator: ":").map(String.init)
        guard result.succeeded, parts.count == 2 else {
            throw Failure(
                .failed, "mariadb and mariadb-dump are not installed\(place)",
                hint: "install the client programs (apt install mariadb-client)", side: .source)
        }
        return (parts[0], parts[1])
    }
}
