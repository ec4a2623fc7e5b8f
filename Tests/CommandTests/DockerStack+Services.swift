import TestSupport
import Testing

extension DockerStack {
    /// A PostgreSQL with a database, started and filled; others find it as `NAME-db`.
    func startDatabase(
        _ database: String, as name: String, on network: String, volume: String, schema: String
    ) async throws {
        let image = try #require(TestEnvironment.postgresImage)
        try await docker(
            "run", "-d", "--name", name, "--network", network, "--network-alias",
            "\(database)-db", "-e", "POSTGRES_PASSWORD=swordfish", "-e",
            "POSTGRES_DB=\(database)", "-v", "\(volume):/var/lib/postgresql/data", image)
        _ = try await eventually(
            in: name, "env", "PGPASSWORD=swordfish", "psql", "-h", "127.0.0.1", "-U", "postgres",
            "-d", database, "-v", "ON_ERROR_STOP=1", "-c", schema, within: .seconds(90))
    }

    func rows(_ query: String, of database: String, in name: String) async throws -> String {
        try await eventually(
            in: name, "env", "PGPASSWORD=swordfish", "psql", "-h", "127.0.0.1", "-U", "postgres",
            "-d", database, "-At", "-c", query)
    }

    /// Writes a file of this machine, and what is missing above it.
    func put(_ text: String, at path: String, mode: String) async throws {
        let directory = path.split(separator: "/").dropLast().joined(separator: "/")
        let script = "mkdir -p '/\(directory)' && cat >'\(path)' && chmod \(mode) '\(path)'"
        let written = try await OutsideProgram.run(["sh", "-c", script], input: Array(text.utf8))
        try #require(written.status == 0, "\(written)")
    }

    /// A page as a browser gets it, without what changes by itself.
    func answer(_ url: String) async throws -> String {
        let outcome = try await OutsideProgram.run([
            "curl", "-s", "-i", "-m", "10", "--noproxy", "*", "--retry", "20",
            "--retry-all-errors", "--retry-delay", "1", "--retry-max-time", "30", url,
        ])
        return outcome.text.split(whereSeparator: \.isNewline)
            .filter { !$0.hasPrefix("Date:") }.joined(separator: "\n")
    }
}
