import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// A page that people follow, as a test reads it.
struct Runbook {
    /// What is done on the way down the page.
    enum Line: Equatable {
        /// A `dr` of a console block, and the codes that it may end with.
        case dr(words: [String], codes: Set<Int32>)
        /// What happens to the world, in the words of a shell; readers do not see it.
        case world(String)
    }

    static let headings = [
        "When", "Objective", "Before you touch anything", "Steps", "How to know it worked",
        "If it fails",
    ]

    var world: String?
    var headings: [String] = []
    var lines: [Line] = []

    init(_ path: String) throws {
        let text = try String(decoding: Data(contentsOf: URL(filePath: path)), as: UTF8.self)
        var isConsole = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let bare = line.drop { $0 == " " }
            if bare.hasPrefix("```") {
                isConsole = !isConsole && bare == "```console"
            } else if isConsole {
                read(command: bare)
            } else if line.hasPrefix("## ") {
                headings.append(String(line.dropFirst(3)))
            } else if let body = Self.comment(bare, "world: ") {
                world = body
            } else if let body = Self.comment(bare, "run: ") {
                lines.append(.world(body))
            }
        }
    }

    private static func comment(_ line: Substring, _ kind: String) -> String? {
        guard line.hasPrefix("<!-- \(kind)"), line.hasSuffix(" -->") else { return nil }
        return String(line.dropFirst("<!-- \(kind)".count).dropLast(" -->".count))
    }

    private mutating func read(command: Substring) {
        guard let prompt = command.first, prompt == "#" || prompt == "$" else { return }
        var text = command.dropFirst(2)
        guard text == "dr" || text.hasPrefix("dr ") else { return }
        var codes: Set<Int32> = [0]
        if let remark = text.firstRange(of: " # ends with ") {
            codes = Set(text[remark.upperBound...].split(separator: " ").compactMap { Int32($0) })
            text = text[..<remark.lowerBound]
        }
        // Where the output goes is no matter here.
        if let redirection = text.firstRange(of: " >") { text = text[..<redirection.lowerBound] }
        lines.append(.dr(words: Self.words(text).dropFirst().map { $0 }, codes: codes))
    }

    /// Split at spaces, except between double quotes.
    private static func words(_ text: Substring) -> [String] {
        var words: [String] = []
        var word = ""
        var isQuoted = false
        for character in text {
            if character == "\"" {
                isQuoted.toggle()
            } else if character == " ", !isQuoted {
                if !word.isEmpty { words.append(word) }
                word = ""
            } else {
                word.append(character)
            }
        }
        return word.isEmpty ? words : words + [word]
    }
}

/// What the pages' example machine is in a test: its paths lie below the scratch directory.
struct RunbookWorld: Sendable {
    let scratch: TemporaryDirectory
    var dr: DrBinary
    private var environment: [String: String] = [:]
    /// What the page's volume is called in the test.
    private var volume: String?

    /// - Parameter kind: `files`, `postgres`, `docker`; `fresh` for files that were never saved.
    init(_ kind: String, in scratch: TemporaryDirectory) async throws {
        self.scratch = scratch
        dr = try DrBinary(in: scratch)
        chmod(scratch.path, 0o711)
        for directory in ["srv/www", "srv/etc", "tmp", "d", "bin"] {
            try scratch.makeDirectory(directory)
        }
        for directory in ["srv", "d"] { chmod(scratch.path(directory), 0o755) }
        try scratch.write("srv/www/index.html", "hello\n")
        try scratch.write("srv/www/style.css", "body { color: black }\n")
        try scratch.write("new-password", "another horse, another staple\n")
        dr.environment["DR_NEW_PASSWORD_FILE"] = scratch.path("new-password")
        var services = ""
        switch kind {
        case "postgres":
            let server = try await TemporaryPostgres(in: scratch)
            try await server.sql("CREATE DATABASE shop")
            try await server.sql(
                "CREATE TABLE purchase AS SELECT i AS id FROM generate_series(1, 500) i",
                database: "shop")
            services = """
                  shop-db:
                    postgres: {url: "\(server.uri)"}
                    check: {sql: "SELECT count(*) FROM purchase", database: shop}

                """
            environment = ["PGHOST": server.socket, "PGUSER": "postgres"]
            // PostgreSQL's programs, which run as another user, want to write there.
            dr.environment["TMPDIR"] = "/tmp"
            environment["PATH"] =
                "\(TestEnvironment.postgresBin ?? ""):\(dr.environment["PATH"] ?? "")"
        case "docker": services = try await shop()
        default: break
        }
        let configuration = """
            repository: mnt/backup/dr
            objectives: {rto: 1h, rpo: 24h}
            retention: {last: 3, daily: 7}
            drill: {directory: d, every: 90d}
            services:
            \(services)  site:
                files: [srv/www, srv/etc]

            """
        try scratch.write("dr.yaml", configuration)
        try scratch.write("srv/etc/dr.yaml", configuration)
        try scratch.makeDirectory("mnt/backup")
        if kind == "fresh" {
            dr.environment["DR_CONFIG"] = "dr.yaml"
            let password = try scratch.write("password", "correct horse battery staple\n")
            chmod(password, 0o600)
            dr.environment["DR_PASSWORD_FILE"] = password
            try scratch.write("dr.yaml", "")
            return
        }
        try await dr.initializeWithKey()
        try require(await dr.run("backup", "--quiet"), endsWith: .done)
    }

    /// A container with a volume, and a `docker` that calls both by the names of the page.
    private mutating func shop() async throws -> String {
        let docker = try DockerStack(in: scratch)
        let image = try #require(TestEnvironment.busyboxImage)
        let (shop, data) = (docker.name("shop"), docker.name("shop_data"))
        volume = data
        try await docker.docker("volume", "create", data)
        let place = try await docker.mountPoint(of: data)
        try await shell("echo hello >'\(place)/index.html'", in: scratch)
        try await docker.docker(
            "run", "-d", "--name", shop, "--stop-timeout", "1", "-v", "\(data):/www", image,
            "sleep", "100000")
        let program = """
            #!/bin/sh
            for word; do
                shift
                case $word in shop|shop_data) word=\(docker.prefix)-$word ;; esac
                set -- "$@" "$word"
            done
            PATH=\(dr.environment["PATH"] ?? "") exec docker -H '\(TestEnvironment.dockerHost ?? "")' "$@"

            """
        chmod(try scratch.write("bin/docker", program), 0o755)
        environment["PATH"] = "\(scratch.path("bin")):\(dr.environment["PATH"] ?? "")"
        return """
              shop:
                docker: {container: \(shop)}
                check: {container: \(shop)}

            """
    }

    /// A line of the page, its paths put below the scratch directory.
    func run(_ words: [String]) async throws -> OutsideProgram.Outcome {
        let placed = words.map { word in
            word.hasPrefix("/")
                ? scratch.path + word : word.replacing("shop_data", with: volume ?? "shop_data")
        }
        // Nothing of this machine itself is set up.
        let elsewhere = words.first == "schedule" ? ["--root", "root", "--with", "cron"] : []
        return try await dr.program(placed + elsewhere).run()
    }

    func change(_ script: String) async throws {
        var program = OutsideProgram(["bash", "-ec", script], directory: scratch.path)
        var variables = dr.environment.merging(environment) { $1 }
        let own = dr.path.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
        variables["PATH"] = "\(own):\(variables["PATH"] ?? "")"
        program.environment = variables
        let outcome = try await program.run()
        #expect(outcome.status == 0, "\(script): \(outcome)")
    }
}
