import Glibc
import Model
import TestSupport
import Testing

/// Nights that stop and pause containers, and what is left when they are cut off.
@Suite(
    "dr backup, with containers at rest",
    .enabled(if: TestEnvironment.hasDocker && TestEnvironment.isRoot, "needs root and Docker"))
struct NightDockerTests: CommandSuite {
    /// Captured as a group: the app is at rest while the slow one is captured.
    private func group(_ world: DockerNight, _ mode: String) -> String {
        """
          app:
            docker: {container: \(world.stack.name("app"))}
            consistency: \(mode)
            group: shop
            after: [slow]
          slow:
            command:
              capture: [sh, -c, 'touch begun; test -e fixed || sleep 600; echo x']
              restore: [sh, -c, 'cat >/dev/null']
            group: shop
        """
    }

    @Test(
        "What a killed run has left stopped or paused is set going again",
        arguments: [
            "stop", "pause",
        ])
    func killed(mode: String) async throws {
        try await DockerNight.with { world in
            try await world.start("app")
            try world.configure(group(world, mode))
            let atRest = mode == "stop" ? "exited" : "paused"
            func cutOff(_ signal: Int32) async throws {
                let running = try world.dr.start("backup")
                try await wait(for: "begun", in: world.scratch)
                #expect(try await world.state("app") == atRest)
                running.signal(signal)
                _ = try await running.outcome()
                unlink(world.scratch.path("begun"))
            }
            // Asked to end, it sets going again itself.
            try await cutOff(SIGTERM)
            #expect(try await world.state("app") == "running")
            // Killed, it leaves a note.
            try await cutOff(SIGKILL)
            #expect(try await world.state("app") == atRest)
            let look = try await world.dr.run("doctor", "--dry-run")
            expect(look, .failed, "was brought to rest")
            #expect(try await world.state("app") == atRest)
            let mended = try await world.dr.run("doctor")
            expect(mended, .failed, "left so by a run that was killed, runs again")
            #expect(try await world.state("app") == "running")
            // The next run looks after it too.
            try await cutOff(SIGKILL)
            #expect(try await world.state("app") == atRest)
            try world.scratch.write("fixed", "")
            let next = try await world.dr.run("backup")
            expect(next, .done, "runs again", "was cut off", "one moment")
            #expect(try await world.state("app") == "running")
            expect(try await world.dr.run("doctor"), .done, "none was left stopped")
        }
    }

    @Test("What somebody else stopped meanwhile stays stopped")
    func stoppedSince() async throws {
        try await DockerNight.with { world in
            try await world.start("app")
            try world.configure(group(world, "pause"))
            let running = try world.dr.start("backup")
            try await wait(for: "begun", in: world.scratch)
            running.signal(SIGKILL)
            _ = try await running.outcome()
            try await world.stack.docker("unpause", world.stack.name("app"))
            try await world.stack.docker("stop", world.stack.name("app"))
            expect(try await world.dr.run("doctor"), .failed, "left as it is")
            #expect(try await world.state("app") == "exited")
        }
    }

    @Test("A group is one moment, and comes back running")
    func group() async throws {
        try await DockerNight.with { world in
            try await world.start("app")
            try await world.start("other")
            try world.scratch.write("fixed", "")
            try world.configure(
                group(world, "stop") + """

                      other:
                        docker: {container: \(world.stack.name("other"))}
                        consistency: pause
                        group: shop
                    """)
            let saved = try await world.dr.run("backup")
            expect(saved, .done, "group shop: one moment, file system consistent")
            let list = try await world.dr.run("snapshots", "--json").text
            let moments = Set(
                list.split(separator: "\"as_of\":\"").dropFirst().map { $0.prefix { $0 != "\"" } })
            #expect(moments.count == 1, "\(list)")
            for name in ["app", "other"] {
                #expect(try await world.state(name) == "running")
                try await world.stack.docker("rm", "-f", "-v", world.stack.name(name))
                try await world.stack.docker("volume", "rm", "\(world.stack.name(name))-data")
            }
            // They were at rest when they were captured, and run all the same.
            let back = try await world.dr.run("restore", "app", "other", "--to", "here", "--yes")
            #expect([0, 3].contains(back.status), "\(back)")
            for name in ["app", "other"] {
                #expect(try await world.state(name) == "running")
                let text = try await world.stack.eventually(
                    in: world.stack.name(name), "cat", "/data/name")
                #expect(text == name)
            }
        }
    }

    @Test("A group is stopped from the outside in, and started from the inside out")
    func order() async throws {
        try await DockerNight.with { world in
            for name in ["db", "app", "web"] { try await world.start(name) }
            func service(_ name: String, _ after: String) -> String {
                "  \(name): {docker: {container: \(world.stack.name(name))}, consistency: stop, "
                    + "group: shop\(after)}"
            }
            try world.configure(
                [
                    service("db", ""), service("web", ", after: [app]"),
                    service("app", ", after: [db]"),
                ]
                .joined(separator: "\n"))
            expect(try await world.dr.run("backup"), .done, "3 of 3 saved")
            func times(_ field: String) async throws -> [String] {
                var times: [String] = []
                for name in ["web", "app", "db"] {
                    times.append(
                        try await world.stack.docker(
                            "inspect", "--format", "{{.State.\(field)}}", world.stack.name(name)))
                }
                return times
            }
            let (stopped, started) = (try await times("FinishedAt"), try await times("StartedAt"))
            #expect(stopped == stopped.sorted())
            #expect(started == started.sorted().reversed())
            #expect((stopped.max() ?? "") < (started.min() ?? ""))
        }
    }

    @Test("A volume without its Compose prefix is suspicious, Compose files come along")
    func prefixAndFiles() async throws {
        try await DockerNight.with { world in
            let project = world.stack.name("shop")
            let files = try world.scratch.makeDirectory("compose")
            try world.scratch.write("compose/compose.yaml", "services: {}\n")
            try world.scratch.write("compose/.env", "A=b\n")
            try await world.stack.docker("volume", "create", "\(world.stack.prefix)-a")
            try await world.stack.docker(
                "volume", "create", "x_\(world.stack.prefix)-a")
            world.scratch.atEnd { [stack = world.stack] in
                _ = try? await stack.docker("volume", "rm", "x_\(stack.prefix)-a")
            }
            try await world.start(
                "shop-app-1", "-l", "com.docker.compose.project=\(project)",
                "-l", "com.docker.compose.service=app",
                "-l", "com.docker.compose.project.working_dir=\(files)",
                "-l", "com.docker.compose.project.config_files=\(files)/compose.yaml")
            try world.configure(
                """
                  shop: {docker: {project: \(project)}}
                  wrong: {docker: {volume: \(world.stack.prefix)-a}}
                """)
            let saved = try await world.dr.run("backup")
            expect(
                saved, .partial, "volume \(world.stack.prefix)-a holds no files",
                "there is x_\(world.stack.prefix)-a too")
            try await world.stack.docker("rm", "-f", "-v", "\(project)-app-1")
            try await world.stack.docker("volume", "rm", "\(project)-app-1-data")
            _ = try await OutsideProgram.run(["rm", "-r", "\(files)/compose.yaml"])
            let back = try await world.dr.run("restore", "shop", "--to", "here", "--yes")
            expect(back, .done)
            let text = try await OutsideProgram.run(
                ["cat", "\(files)/compose.yaml", "\(files)/.env"]).text
            #expect(text == "services: {}\nA=b\n")
        }
    }
}
