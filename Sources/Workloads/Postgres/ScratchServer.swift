import CLinux
import Engine
import Glibc
import Model

/// A PostgreSQL server of a drill's own, in a directory of the drill's, reached through a socket there.
///
/// It stands for a server of the machine that only an address names: never is a database of a drill
/// made on the live one. It needs PostgreSQL's server programs of the same major version here.
struct ScratchServer: Sendable {
    static let superuser = "postgres"
    /// The longest path of a socket that Linux takes.
    private static let socketPathLimit = 107
    private static let socketName = "/.s.PGSQL.5432"

    /// Holds the data directory, the socket and the server's log.
    let directory: String
    private var data: String { directory + "/data" }

    /// How clients reach it.
    var uri: String {
        let host = directory.utf8.map { byte -> String in
            switch byte {
            case 0x2D, 0x2E, 0x2F, 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A:
                String(UnicodeScalar(byte))
            default: "%" + Hexadecimal.encode([byte])
            }
        }
        return "postgresql://\(Self.superuser)@/postgres?host=\(host.joined())"
    }

    /// What keeps it from being made, before anything is.
    func findings(major: Int) -> [PreflightFinding] {
        var findings: [PreflightFinding] = []
        if Self.programs(major) == nil {
            findings.append(
                PreflightFinding(
                    .blocker,
                    "this machine has no PostgreSQL \(major) to make a scratch server with",
                    hint: "install postgresql-\(major) (it need not run), or leave the service out "
                        + "with --without"))
        }
        if geteuid() == 0, (try? UserAccount(named: Self.superuser)) == nil {
            findings.append(
                PreflightFinding(
                    .blocker, "there is no user \(Self.superuser) to run the scratch server as",
                    hint: "install postgresql-\(major), which makes one"))
        }
        if directory.utf8.count + Self.socketName.utf8.count > Self.socketPathLimit {
            findings.append(
                PreflightFinding(
                    .blocker, "\(printable(directory.utf8)) is too long for a socket's path",
                    hint: "set drill.directory to a shorter one"))
        }
        if access(directory, F_OK) == 0 {
            findings.append(
                PreflightFinding(
                    .conflict, "\(printable(directory.utf8)) exists already",
                    name: "path\(directory)"))
        }
        return findings
    }

    /// Makes the cluster and starts it.
    func start(_ description: ClusterDescription) async throws {
        guard let programs = Self.programs(description.major) else {
            throw Failure(
                .failed, "this machine has no PostgreSQL \(description.major)", side: .target)
        }
        let user = geteuid() == 0 ? Self.superuser : nil
        try await BlockingPool.shared.run { try makeDirectory(for: user) }
        let options = description.initdb.filter { !$0.hasPrefix("--username") }
        try await run(
            [programs + "initdb", "-D", data, "--no-sync", "--auth=trust"]
                + ["--username=\(Self.superuser)"] + options, as: user)
        // Nothing but the socket leads to it, and nothing of it has to last.
        let settings =
            "-c listen_addresses= -c unix_socket_directories='\(directory)' -c port=5432 "
            + "-c fsync=off -c full_page_writes=off -c logging_collector=off"
        try await run(
            [programs + "pg_ctl", "start", "-w", "-t", "60", "-D", data, "-l", "\(directory)/log"]
                + ["-o", settings], as: user)
    }

    private func makeDirectory(for user: String?) throws {
        do throws(SystemError) {
            try FileSystem().makeDirectory(directory, mode: 0o700)
        } catch { throw error.failure(side: .target) }
        guard let user else { return }
        let account = try UserAccount(named: user)
        if chown(directory, account.id, account.groupID) != 0 {
            throw SystemError.last("chown", directory).failure(side: .target)
        }
    }

    private func run(_ words: [String], as user: String?) async throws {
        let result = try await LocalPrograms().run(
            ProgramCall(
                words, environment: ["LC_MESSAGES": "C", "PGDATA": data], user: user,
                timeout: TimeSpan(seconds: 120)))
        guard result.succeeded else {
            let name = words[0].split(separator: "/").last ?? ""
            throw result.failure("\(name) of the scratch server", side: .target)
        }
    }

    /// The directory of a major version's server programs, with a slash at its end.
    static func programs(_ major: Int) -> String? {
        PostgresPlace.localDirectories(major: "\(major)").first {
            access($0 + "initdb", X_OK) == 0 && access($0 + "pg_ctl", X_OK) == 0
        }
    }

    /// Ends the server whose data lies in a directory, at once; nothing of it is needed any more.
    ///
    /// Its first process is known by the directory that it works in: its number may be another's.
    static func end(in directory: String) async throws {
        try await BlockingPool.shared.run {
            for process in processes(in: directory) { kill(process, SIGQUIT) }
            var patience = 100
            while !processes(in: directory).isEmpty, patience > 0 {
                usleep(50_000)
                patience -= 1
            }
            for process in processes(in: directory) { kill(process, SIGKILL) }
        }
    }

    /// Processes that work in a data directory or below it, or were told to.
    static func processes(in directory: String) -> [Int32] {
        let names = (try? FileSystem().names(in: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { process in
            var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
            let count = readlink("/proc/\(process)/cwd", &buffer, buffer.count - 1)
            let bytes = buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }
            let path = String(decoding: bytes, as: UTF8.self)
            if path == directory || path.hasPrefix(directory + "/") { return true }
            let words = (try? FileSystem().read("/proc/\(process)/cmdline"))?.split(separator: 0)
            return words?.contains { $0.elementsEqual(directory.utf8) } ?? false
        }
    }
}
