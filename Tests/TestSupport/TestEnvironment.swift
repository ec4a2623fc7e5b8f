import CLinux
import Glibc

/// What this machine lends to tests, as `scripts/test` announces it in `DR_TEST_…` variables.
///
/// Without them, plain `swift test` runs whatever needs nothing but this machine. The conditions are
/// for `.enabled(if: TestEnvironment.hasDocker, "needs a Docker Engine")`: what a machine cannot run
/// is skipped by name, never passed.
public enum TestEnvironment {
    /// An Engine that tests may fill and empty, for example `unix:///tmp/…/docker.sock`.
    public static let dockerHost = variable("DR_TEST_DOCKER_HOST")
    /// An image with busybox as its shell, web server and everything else.
    public static let busyboxImage = variable("DR_TEST_IMAGE_BUSYBOX")
    /// An image that runs PostgreSQL as the official one does: `POSTGRES_PASSWORD`, `POSTGRES_DB`,
    /// `PGDATA`, TCP port 5432; with `busybox` in it.
    public static let postgresImage = variable("DR_TEST_IMAGE_POSTGRES")
    /// The same with another major version.
    public static let otherPostgresImage = variable("DR_TEST_IMAGE_OTHER_POSTGRES")
    /// The directory of `initdb`, `postgres`, `pg_dump`… of one installed major version.
    public static let postgresBin = variable("DR_TEST_POSTGRES_BIN") ?? newestPostgresBin()
    /// An S3 endpoint on loopback; its keys are `s3Key` and `s3Secret`.
    public static let s3Endpoint = variable("DR_TEST_S3_ENDPOINT")
    public static let s3Key = variable("DR_TEST_S3_KEY")
    public static let s3Secret = variable("DR_TEST_S3_SECRET")
    /// The program of the server behind it, to start one that a test may kill.
    public static let weed = variable("DR_TEST_WEED")
    /// The endpoint of another implementation, with the same keys.
    public static let otherS3Endpoint = variable("DR_TEST_S3_OTHER_ENDPOINT")
    /// Long counts were asked for: `scripts/test --full`.
    public static let isFull = variable("DR_TEST_FULL") == "1"

    public static let isRoot = geteuid() == 0
    public static let hasDocker = dockerHost != nil && busyboxImage != nil
    public static let hasDockerPostgres = hasDocker && postgresImage != nil
    public static let hasPostgres = postgresBin != nil
    public static let hasMariaDB = hasProgram("mariadbd") && hasProgram("mariadb-install-db")
    public static let hasS3 = s3Endpoint != nil
    public static let hasWeed = weed != nil
    public static let hasOtherS3 = otherS3Endpoint != nil

    /// Whether a program is in `PATH`, or at a path.
    public static func hasProgram(_ name: String) -> Bool {
        if name.contains("/") { return access(name, X_OK) == 0 }
        return (variable("PATH") ?? "/usr/bin:/bin").split(separator: ":")
            .contains { access("\($0)/\(name)", X_OK) == 0 }
    }

    /// The seed of this process's random tests: `DR_TEST_SEED`, or a new one. Tests print it.
    public static let seed =
        variable("DR_TEST_SEED").flatMap { UInt64($0) } ?? .random(in: 0 ... .max)

    /// A variable of the environment; nil when unset or empty.
    public static func variable(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }

    private static func newestPostgresBin() -> String? {
        guard let directory = opendir("/usr/lib/postgresql") else { return nil }
        defer { closedir(directory) }
        var newest: Int?
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let major = Int(name), access("/usr/lib/postgresql/\(major)/bin/initdb", X_OK) == 0 {
                newest = max(newest ?? 0, major)
            }
        }
        return newest.map { "/usr/lib/postgresql/\($0)/bin" }
    }
}
