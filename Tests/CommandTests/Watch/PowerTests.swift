import Glibc
import Model
import TestSupport
import Testing

/// Nights on a machine whose power supply says that the mains are gone.
@Suite("On battery")
struct PowerTests {
    private static let services = """
        backup: {attempts: 1, jobs: 1}
        services:
          first: {files: [data], priority: 90}
          second:
            command:
              name: slow
              capture: [sh, -c, "test -e fixed || { touch begun; sleep 600; }; echo data"]
        """

    @Test("No run begins on battery; one that cannot ask runs")
    func notBegun() async throws {
        try await with("power: {ups: eaton@localhost, interval: 1s}\n" + Self.services) { world in
            try world.scratch.write("fixed", "")
            try world.scratch.write("status", "OB DISCHRG\n")
            world.expect(
                try await world.dr.run("backup"), .failed,
                "the machine runs on battery: no run is begun")
            #expect(try await world.dr.run("snapshots", "--json").text.contains("first") == false)
            try world.scratch.write("status", "OL CHRG\n")
            world.expect(try await world.dr.run("backup"), .done, "2 of 2 saved")
            unlink(world.scratch.path("status"))
            world.expect(
                try await world.dr.run("backup"), .done, "2 of 2 saved",
                "the power supply eaton@localhost does not answer")
        }
    }

    @Test("A run goes on while the battery lasts, and ends in order when it is low")
    func endsInOrder() async throws {
        try await with("power: {ups: eaton@localhost, interval: 1s}\n" + Self.services) { world in
            try world.scratch.write("status", "OL\n")
            let running = try world.dr.start("backup")
            try await world.until("the slow capture has begun") {
                access(world.scratch.path("begun"), F_OK) == 0
            }
            try world.scratch.write("status", "OB DISCHRG\n")
            // Asked on battery at least twice, and it goes on.
            let asked = try await world.text(of: "asked").count
            try await world.until("it was asked again") {
                try await world.text(of: "asked").count >= asked + 3
            }
            #expect(running.outputSoFar().isEmpty)
            try world.scratch.write("status", "OB DISCHRG LB\n")
            let ended = try await running.outcome()
            world.expect(
                ended, .failed, "1 of 2 saved", "the battery is low: the run was ended in order",
                "hint: when the power is back: dr backup --resume")
            try world.scratch.write("status", "OL\n")
            try world.scratch.write("fixed", "")
            let resumed = try await world.dr.run("backup", "--resume", "--json")
            world.expect(resumed, .done)
            #expect(!resumed.text.contains("\"message_type\":\"saved\",\"workload\":\"first"))
            #expect(resumed.text.contains("\"message_type\":\"saved\",\"workload\":\"second"))
        }
    }

    /// An `upsc` that says what a file holds.
    private func with(
        _ configuration: String, _ body: (SmallWorld) async throws -> Void
    ) async throws {
        try await SmallWorld.with("power", configuration) { world in
            try world.scratch.makeDirectory("data")
            try world.scratch.write("data/file", "precious\n")
            try world.program(
                "upsc",
                """
                test "$1 $2" = "eaton@localhost ups.status" || exit 2
                printf . >>asked
                cat status 2>/dev/null || { echo "Error: Connection failure" >&2; exit 1; }
                """)
            try await body(world)
        }
    }

    @Test(
        "NUT's own dummy supply holds a night, and lets it go",
        .enabled(if: TestEnvironment.hasProgram("/lib/nut/upsd"), "needs NUT's server"),
        .enabled(if: TestEnvironment.isRoot, "NUT's server is started as root"))
    func networkUPSTools() async throws {
        let port = try unusedPort()
        let configuration =
            "power: {ups: \"dummy@127.0.0.1:\(port)\", interval: 1s}\n" + Self.services
        try await SmallWorld.with("nut", configuration) { world in
            try world.scratch.makeDirectory("data")
            try world.scratch.write("data/file", "precious\n")
            try world.scratch.write("fixed", "")
            let supply = try await DummySupply(in: world.scratch, port: port)
            try await supply.say("OB DISCHRG")
            world.expect(
                try await world.dr.run("backup"), .failed, "the machine runs on battery")
            try await supply.say("OL CHRG")
            world.expect(try await world.dr.run("backup"), .done, "2 of 2 saved")
            unlink(world.scratch.path("fixed"))
            let running = try world.dr.start("backup")
            try await world.until("the slow capture has begun") {
                access(world.scratch.path("begun"), F_OK) == 0
            }
            try await supply.say("OB LB")
            world.expect(try await running.outcome(), .failed, "the battery is low")
        }
    }
}

/// NUT's server and its driver for supplies that exist only in a file.
private struct DummySupply {
    let directory: String
    let name: String
    private let environment: [String: String]

    init(in scratch: TemporaryDirectory, port: Int) async throws {
        directory = try scratch.makeDirectory("nut")
        name = "dummy@127.0.0.1:\(port)"
        environment = [
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/lib/nut", "NUT_CONFPATH": directory,
            "NUT_STATEPATH": directory, "NUT_ALTPIDPATH": directory,
        ]
        try scratch.write("nut/nut.conf", "MODE=standalone\n")
        try scratch.write(
            "nut/ups.conf",
            "maxretry = 1\n[dummy]\n  driver = dummy-ups\n  port = \(directory)/supply.dev\n"
                + "  mode = dummy-once\n  pollinterval = 1\n")
        try scratch.write("nut/upsd.conf", "LISTEN 127.0.0.1 \(port)\n")
        try scratch.write("nut/upsd.users", "")
        try scratch.write("nut/supply.dev", "ups.status: OL\n")
        for file in ["nut.conf", "ups.conf", "upsd.conf", "upsd.users"] {
            chmod("\(directory)/\(file)", 0o600)
        }
        let driver = try program(["/lib/nut/dummy-ups", "-D", "-a", "dummy", "-u", "root"]).start()
        scratch.atEnd {
            driver.signal(SIGTERM)
            _ = try? await driver.outcome()
        }
        let server = try program(["/lib/nut/upsd", "-D", "-u", "root"]).start()
        scratch.atEnd {
            server.signal(SIGTERM)
            _ = try? await server.outcome()
        }
        try await untilIt(says: "OL")
    }

    private func program(_ words: [String]) -> OutsideProgram {
        OutsideProgram(words, environment: environment, timeout: .seconds(600))
    }

    /// Lets the supply have a status, and waits until the server tells it.
    func say(_ status: String) async throws {
        let file = "\(directory)/supply.dev"
        _ = try await OutsideProgram.run(
            ["sh", "-c", "cat >'\(file).new' && mv '\(file).new' '\(file)'"],
            input: Array("ups.status: \(status)\n".utf8))
        try await untilIt(says: status)
    }

    private func untilIt(says status: String) async throws {
        let limit = ContinuousClock.now + .seconds(30)
        while true {
            let said = try await program(["upsc", name, "ups.status"]).run()
            if said.text.split(whereSeparator: \.isWhitespace).joined(separator: " ") == status {
                return
            }
            try #require(ContinuousClock.now < limit, "\(said)")
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}
