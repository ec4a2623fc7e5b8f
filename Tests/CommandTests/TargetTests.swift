import Model
import TestSupport
import Testing

/// A target under other names on the same Engine: all of a stack beside the one it was made from.
@Suite(
    "A named target",
    .enabled(if: TestEnvironment.hasDockerPostgres, "needs a Docker Engine and a PostgreSQL image"),
    .enabled(if: TestEnvironment.isRoot, "looking into volumes needs root"))
struct TargetTests {
    @Test("A whole stack comes back beside the living one, which nothing happens to")
    func beside() async throws {
        try await TemporaryDirectory.with("target") { scratch in
            let stack = try WholeStack(in: scratch)
            try await stack.start()
            let root = scratch.path("standby")
            // Names that the stack's own fixture removes, and does not take for the stack's own.
            let prefix = "\(stack.docker.prefix)copy-"
            let port = try unusedPort()
            var copy = stack
            copy.copy = WholeStack.Copy(prefix: prefix, port: port, root: root)
            var dr = try DrBinary(in: scratch)
            dr.environment["DR_PASSWORD"] = "correct horse battery staple"
            dr.environment["DR_CONFIG"] = try scratch.write(
                "dr.yaml",
                stack.configuration + """
                    targets:
                      standby:
                        names: {prefix: \(prefix)}
                        ports: {map: {"\(stack.port)": \(port)}}
                        root: \(root)
                      cramped: {names: {prefix: \(prefix)}}

                    """)
            try require(await dr.run("init"), endsWith: .done)
            try require(await dr.run("backup", "--quiet"), endsWith: .done)
            let before = try await stack.state()
            let inventory = try await stack.inventory()

            // What the names leave in common is found before anything is made.
            let cramped = try await dr.run("restore", "--to", "cramped", "--yes", "--replace")
            try require(cramped, endsWith: .failed)
            #expect(cramped.errorText.contains("\(stack.port)/tcp"))
            #expect(cramped.errorText.contains("has no place of its own"))
            #expect(try await copy.inventory() == [])

            try require(await dr.run("restore", "--to", "standby", "--yes"), endsWith: .done)
            #expect(try await copy.state() == before)
            #expect(try await stack.inventory() == inventory)
            #expect(try await stack.state() == before)

            // Each has its own data: what changes in the copy changes nowhere else, and the names
            // that its containers know each other by lead to the copy.
            _ = try await copy.rows("wiki", "DELETE FROM page WHERE id <= 10")
            #expect(try await copy.answer().contains("500 1990"))
            let page = try await stack.docker.docker(
                "exec", copy.proxy, "wget", "-qO-", "http://\(stack.api)/cgi-bin/figures")
            #expect(page.contains("500 1990"))
            #expect(try await stack.answer() == before.answer)

            // Compose keeps the two apart.
            let projects = try await stack.docker.docker(
                "ps", "--filter", "label=com.docker.compose.project=\(stack.project)", "--format",
                "{{.Names}}")
            #expect(projects == "\(stack.project)-worker-1")

            // Again: only the copy makes room.
            let refused = try await dr.run("restore", "wiki-db", "--to", "standby", "--yes")
            try require(refused, endsWith: .failed)
            #expect(refused.errorText.contains("container \(copy.name("wiki-db")) exists already"))
            let replaced = try await dr.run(
                "restore", "wiki-db", "--to", "standby", "--yes", "--replace", "--quiet")
            try require(replaced, endsWith: .done)
            #expect(try await copy.answer() == before.answer)
            #expect(try await stack.inventory() == inventory)
            #expect(try await stack.state() == before)
        }
    }
}
