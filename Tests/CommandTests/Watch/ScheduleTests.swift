import Glibc
import Model
import TestSupport
import Testing

/// Jobs of systemd and cron, judged by systemd's own reader where there is one.
@Suite("dr schedule")
struct ScheduleTests {
    private static let configuration = "services: {site: {files: [site]}}"

    @Test("Units name this dr, its configuration and where the password is, and no password")
    func units() async throws {
        try await SmallWorld.with("schedule", Self.configuration) { world in
            let installed = try await world.dr.run(
                "schedule", "install", "--with", "systemd", "--root", "root", "--at", "03:45",
                "--json", environment: ["DR_PASSWORD": "planted-password"])
            world.expect(installed, .done, "\"rule\":\"*-*-* 03:45:00\"")
            let directory = "root/etc/systemd/system"
            let service = try await world.text(of: "\(directory)/dr-backup.service")
            let file = world.scratch.path("password")
            #expect(service.contains("Environment=DR_PASSWORD_FILE=\(file)\n"))
            #expect(service.contains("--config \(world.scratch.path("dr.yaml")) backup --quiet\n"))
            for line in ["Type=oneshot", "Nice=19", "NoNewPrivileges=yes", "ProtectSystem=full"] {
                #expect(service.contains("\(line)\n"), "\(service)")
            }
            let timer = try await world.text(of: "\(directory)/dr-backup.timer")
            for line in [
                "Persistent=true", "RandomizedDelaySec=15min", "OnCalendar=*-*-* 03:45:00",
            ] {
                #expect(timer.contains("\(line)\n"), "\(timer)")
            }
            let upkeep = try await world.text(of: "\(directory)/dr-upkeep.service")
            let calls = upkeep.split(separator: "\n").filter { $0.hasPrefix("ExecStart=") }
            // Reading back is not kept waiting by whoever else prunes.
            #expect(calls.count == 2 && calls[0].hasSuffix(" check --subset 5%% --quiet"))
            #expect(calls[1].hasSuffix(" prune --quiet"))
            for name in ["dr-backup", "dr-upkeep", "dr-watch"] {
                for end in ["service", "timer"] {
                    let text = try await world.text(of: "\(directory)/\(name).\(end)")
                    #expect(
                        !text.contains("planted-password") && !text.contains(SmallWorld.password))
                }
            }
            world.expect(
                try await world.dr.run("schedule", "show", "--root", "root"), .done, "dr-watch")
            world.expect(try await world.dr.run("schedule", "remove", "--root", "root"), .done)
            #expect(
                try await OutsideProgram.run(["ls", world.scratch.path(directory)]).text == "")
            world.expect(
                try await world.dr.run("schedule", "show", "--root", "root"), .failed,
                "nothing is set up")
        }
    }

    @Test(
        "systemd takes the units as they are, and knows when they happen next",
        .enabled(if: TestEnvironment.hasProgram("systemd-analyze"), "needs systemd-analyze"))
    func judgedBySystemd() async throws {
        try await SmallWorld.with("schedule", Self.configuration) { world in
            world.expect(
                try await world.dr.run(
                    "schedule", "install", "--with", "systemd", "--root", "root"), .done)
            let directory = world.scratch.path("root/etc/systemd/system")
            for name in ["dr-backup", "dr-upkeep", "dr-watch"] {
                let verified = try await OutsideProgram.run([
                    "systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
                    "\(directory)/\(name).service", "\(directory)/\(name).timer",
                ])
                let complaints = (verified.text + verified.errorText).split(separator: "\n")
                    .filter { $0.contains(name) }
                #expect(complaints.isEmpty, "\(verified)")
                let timer = try await world.text(of: "root/etc/systemd/system/\(name).timer")
                let calendar = try #require(
                    timer.split(separator: "\n").first { $0.hasPrefix("OnCalendar=") })
                let next = try await OutsideProgram.run([
                    "systemd-analyze", "calendar", String(calendar.dropFirst("OnCalendar=".count)),
                ])
                #expect(next.status == 0 && next.text.contains("Next elapse: "), "\(next)")
                #expect(!next.text.contains("Next elapse: never"), "\(next)")
            }
        }
    }

    @Test("A table for cron, which leaves others' alone")
    func cron() async throws {
        try await SmallWorld.with("schedule", Self.configuration) { world in
            world.expect(
                try await world.dr.run(
                    "schedule", "install", "--with", "cron", "--root", "root", "--at", "23:05"),
                .done)
            let table = try await world.text(of: "root/etc/cron.d/dr")
            let file = world.scratch.path("password")
            let jobs = table.split(separator: "\n").filter { $0.contains(" root ") }
            #expect(jobs.count == 3)
            #expect(
                jobs.first?.hasPrefix("5 23 * * * root DR_PASSWORD_FILE=\(file) ")
                    == true, "\(table)")
            #expect(jobs.first?.contains(" nice -n 19 /") == true)
            #expect(jobs.first?.hasSuffix(" backup --quiet") == true)
            #expect(jobs.dropFirst().first?.hasPrefix("5 1 * * 0 root ") == true, "\(table)")
            #expect(jobs.dropFirst().first?.contains("--subset 5\\% --quiet") == true)
            #expect(jobs.last?.hasPrefix("5 5,11,17 * * * root ") == true, "\(table)")
            // What the shell makes of a line is a call that works.
            let words = jobs.first?.split(separator: " ").dropFirst(6).joined(separator: " ") ?? ""
            try world.scratch.makeDirectory("site")
            try world.scratch.write("site/page", "page\n")
            let outcome = try await OutsideProgram(
                ["sh", "-c", words],
                environment: [
                    "PATH": "/usr/bin:/bin", "HOME": world.scratch.path,
                    "XDG_STATE_HOME": world.scratch.path("state"),
                ]
            ).run()
            #expect(outcome.status == 0, "\(outcome)")

            world.expect(try await world.dr.run("schedule", "remove", "--root", "root"), .done)
            try world.scratch.write("root/etc/cron.d/dr", "0 1 * * * root mine\n")
            world.expect(
                try await world.dr.run("schedule", "install", "--with", "cron", "--root", "root"),
                .failed, "is there and is not of dr schedule")
            world.expect(try await world.dr.run("schedule", "remove", "--root", "root"), .done)
            #expect(try await world.text(of: "root/etc/cron.d/dr") == "0 1 * * * root mine\n")
        }
    }

    @Test("Without a place for the password nothing is set up")
    func noPassword() async throws {
        try await SmallWorld.with("schedule", Self.configuration) { world in
            var dr = world.dr
            dr.environment["DR_PASSWORD_FILE"] = nil
            dr.environment["DR_PASSWORD"] = SmallWorld.password
            world.expect(
                try await dr.run("schedule", "install", "--with", "cron", "--root", "root"), .usage,
                "nobody is there at night to type the password", "DR_PASSWORD_FILE")
            #expect(access(world.scratch.path("root"), F_OK) != 0)
            world.expect(
                try await world.dr.run("schedule", "install", "--at", "25:00", "--root", "root"),
                .usage, "\"25:00\" is no time of the day")
        }
    }
}
