import FoundationEssentials
import Model
import TestSupport
import Testing

/// What goes wrong while a restore goes on, done to it by a service's own restore program: what
/// depends on it is not executed, the rest is back, and the report says why and what to type next.
@Suite("dr in an incident within the incident")
struct MidRunTests {
    /// `site` is independent, `trouble` runs a script, and `after` comes after that.
    private func with(
        trouble script: String, after: String, objectives: String = "{rto: 10m}",
        _ body: (TemporaryDirectory, DrBinary) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with("midrun") { scratch in
            try scratch.makeDirectory("www")
            try scratch.write("www/index.html", "<p>hello")
            try scratch.write("trouble", "cat >/dev/null; cd '\(scratch.path)'; \(script)")
            try scratch.write(
                "dr.yaml",
                """
                repository: repo
                objectives: \(objectives)
                services:
                  site: {files: [www]}
                  trouble:
                    command: {name: t, capture: [seq, "9"], restore: [sh, \(scratch.path("trouble"))]}
                \(after)
                """)
            var binary = try DrBinary(in: scratch)
            try await binary.initializeWithKey()
            try await body(scratch, binary)
        }
    }

    /// Destroys the site, restores, and looks at what is the same whatever went wrong.
    private func restore(
        _ dr: DrBinary, _ scratch: TemporaryDirectory, endsWith code: ExitCode,
        notExecuted: [String]
    ) async throws -> RecoveryReport {
        _ = try await OutsideProgram.run(["rm", "-rf", scratch.path("www")])
        let outcome = try await dr.run("restore", "--to", "here", "--yes")
        try require(outcome, endsWith: code)
        let page = try await OutsideProgram.run(["cat", scratch.path("www/index.html")])
        #expect(page.text == "<p>hello")
        let document = try await dr.run("report", "--json")
        let report = try JSONDecoder().decode(RecoveryReport.self, from: Data(document.output))
        #expect(report.services.first { $0.name == "site" }?.state == .recovered)
        #expect(report.notExecuted.map(\.id).sorted() == notExecuted.sorted())
        if report.notExecuted.isEmpty, !report.steps.contains(where: { $0.state == .failed }) {
            return report
        }
        let next = try #require(report.nextCommand)
        #expect(next == "dr restore --resume \(report.run.short)")
        #expect(outcome.text.contains(next), "\(outcome)")
        return report
    }

    private func causes(_ report: RecoveryReport) -> String {
        report.services.flatMap(\.causes).joined(separator: "\n")
    }

    @Test("A check that fails")
    func check() async throws {
        try await with(
            trouble: "true",
            after: """
                    check: {command: [test, -e, /proc/self/no-such], timeout: 1s}
                  app: {files: [app], after: [trouble]}
                """
        ) { scratch, dr in
            try scratch.makeDirectory("app")
            try scratch.write("app/file", "app")
            try require(await dr.run("backup", "--quiet"), endsWith: .done)
            _ = try await OutsideProgram.run(["rm", "-rf", scratch.path("app")])
            let report = try await restore(
                dr, scratch, endsWith: .verificationFailed,
                notExecuted: [
                    "app/files:files/files:\(scratch.path("app"))", "app/healthy",
                ])
            #expect(causes(report).contains("check failed: command test"))
        }
    }

    @Test("An objective that is missed")
    func objective() async throws {
        try await with(trouble: "sleep 1.2", after: "", objectives: "{rto: 1s}") { scratch, dr in
            try require(await dr.run("backup", "--quiet"), endsWith: .done)
            let report = try await restore(
                dr, scratch, endsWith: .objectiveMissed, notExecuted: [])
            #expect(report.meetsRecoveryTime == false)
        }
    }

    @Test(
        "An Engine that cannot be reached any more",
        .enabled(if: TestEnvironment.hasDocker, "needs a Docker Engine"),
        .enabled(if: TestEnvironment.isRoot, "looking into volumes needs root"))
    func unreachable() async throws {
        try await container { stack, scratch, dr, name in
            let socket = try #require(TestEnvironment.dockerHost).dropFirst("unix://".count)
            func connect() async throws {
                _ = try await OutsideProgram.run(["ln", "-sf", String(socket), scratch.path("e")])
            }
            try await connect()
            dr.environment["DOCKER_HOST"] = "unix://\(scratch.path("e"))"
            try scratch.write("trouble", "cat >/dev/null; rm -f '\(scratch.path("e"))'")
            try require(await dr.run("backup", "--quiet"), endsWith: .done)
            await stack.removeEverything()
            let report = try await restore(
                dr, scratch, endsWith: .partial,
                notExecuted: [
                    "web/docker:\(name)/container:\(name)", "web/docker:\(name)/start:\(name)",
                    "web/healthy",
                ])
            #expect(causes(report).contains(scratch.path("e")))
            try await connect()
            try scratch.write("trouble", "cat >/dev/null")
            try require(await dr.run("restore", "--resume"), endsWith: .done)
            let state = try await stack.docker("inspect", "--format", "{{.State.Running}}", name)
            #expect(state == "true")
        }
    }

    @Test(
        "An image that is gone",
        .enabled(if: TestEnvironment.hasDocker, "needs a Docker Engine"),
        .enabled(if: TestEnvironment.isRoot, "looking into volumes needs root"))
    func image() async throws {
        try await container { stack, scratch, dr, name in
            let host = try #require(TestEnvironment.dockerHost)
            let image = stack.name("gone")
            try await stack.docker(
                "commit", "-m", "for the test", name, "\(image):1")
            try await stack.docker("rm", "-f", name)
            try await stack.docker(
                "run", "-d", "--name", name, "--stop-timeout", "1", "\(image):1", "sleep", "1000")
            try require(await dr.run("backup", "--quiet"), endsWith: .done)
            await stack.removeEverything()
            try scratch.write(
                "trouble", "cat >/dev/null; docker -H \(host) rmi -f \(image):1 >/dev/null")
            let report = try await restore(
                dr, scratch, endsWith: .partial,
                notExecuted: [
                    "web/docker:\(name)/container:\(name)", "web/docker:\(name)/start:\(name)",
                    "web/healthy",
                ])
            #expect(causes(report).contains("image \(image):1 is not there"))
            #expect(report.steps.contains { $0.hint?.contains("docker pull") == true })
        }
    }

    /// A container that comes after `trouble`, saved without its image.
    private func container(
        _ body: (DockerStack, TemporaryDirectory, inout DrBinary, String) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with("engine") { outer in
            let stack = try DockerStack(in: outer)
            let name = stack.name("web")
            let busybox = try #require(TestEnvironment.busyboxImage)
            try await stack.docker(
                "run", "-d", "--name", name, "--stop-timeout", "1", busybox, "sleep", "1000")
            try await with(
                trouble: "true",
                after: """
                      web: {docker: {container: \(name), image: never}, after: [trouble]}
                    """
            ) { scratch, dr in
                var dr = dr
                try await body(stack, scratch, &dr, name)
            }
        }
    }
}
