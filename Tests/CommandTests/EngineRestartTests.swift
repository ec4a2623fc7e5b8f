import Glibc
import Model
import TestSupport
import Testing

/// A Docker Engine of the test's own, which may be stopped and started; its containers have no
/// network.
private struct OwnEngine: Sendable {
    let base: String
    var host: String { "unix://\(base)/docker.sock" }

    static let isPossible =
        TestEnvironment.hasDocker && TestEnvironment.isRoot && TestEnvironment.hasProgram("dockerd")

    init(in scratch: TemporaryDirectory) async throws {
        // Short: sockets lie below it.
        base = "/tmp/dre-\(String(UInt32.random(in: 0 ... .max), radix: 36))"
        let engine = self
        scratch.atEnd {
            await engine.removeContainers()
            await engine.stop()
            _ = try? await OutsideProgram.run(["rm", "-rf", "--one-file-system", engine.base])
        }
        try await start()
        let image = TestEnvironment.busyboxImage ?? ""
        try await Self.shell(
            "docker -H \(TestEnvironment.dockerHost ?? "") save \(image) | docker -H \(host) load")
    }

    func start() async throws {
        try await Self.shell(
            """
            mkdir -p \(base); dockerd --data-root \(base)/data --exec-root \(base)/exec \
            -H \(host) --pidfile \(base)/pid --group root --bridge none --iptables=false \
            --ip-forward=false --ip-masq=false >>\(base)/log 2>&1 </dev/null &
            for i in $(seq 300); do docker -H \(host) version >/dev/null 2>&1 && exit; sleep 0.1; done
            tail \(base)/log; exit 1
            """)
    }

    /// Ends it as a service manager does, and waits for that.
    func stop() async {
        try? await Self.shell(
            """
            pid=$(cat \(base)/pid) && kill -TERM $pid
            for i in $(seq 400); do
              grep -q '^State:[[:space:]]*[^Z]' /proc/$pid/status 2>/dev/null || exit 0; sleep 0.05; done
            """)
    }

    private func removeContainers() async {
        try? await Self.shell(
            "docker -H \(host) ps -aq | xargs -r docker -H \(host) rm -f -v")
    }

    @discardableResult
    func docker(_ words: String...) async throws -> String {
        let outcome = try await OutsideProgram.run(["docker", "-H", host] + words)
        guard outcome.status == 0 else { throw Failure(.failed, outcome.errorText) }
        return String(outcome.text.filter { $0 != "\n" })
    }

    private static func shell(_ script: String) async throws {
        let outcome = try await OutsideProgram.run(["sh", "-c", script])
        guard outcome.status == 0 else {
            throw Failure(.failed, outcome.text + outcome.errorText)
        }
    }
}

@Suite(
    "dr backup, while the Engine restarts",
    .enabled(if: OwnEngine.isPossible, "needs root, Docker and dockerd"))
struct EngineRestartTests: CommandSuite {
    @Test("What was at rest runs again when the Engine is back, and every service is safe")
    func restart() async throws {
        try await NightWorld.with { world in
            let (scratch, dr) = (world.scratch, world.dr)
            let engine = try await OwnEngine(in: scratch)
            try await engine.docker(
                "run", "-d", "--name", "app", "--network", "none", "--stop-signal", "SIGKILL", "-v",
                "data:/data", TestEnvironment.busyboxImage ?? "", "sh", "-c",
                "echo x >/data/x; exec sleep 3600")
            try scratch.write(
                "dr.yaml",
                """
                repository: repo
                docker: {host: "\(engine.host)"}
                backup: {pause: 1s, attempts: 5}
                services:
                  app: {docker: {container: app}, consistency: stop, group: shop, after: [slow]}
                  slow:
                    command:
                      capture: [sh, -c, 'touch begun; until test -e fixed; do sleep 0.05; done; echo x']
                    group: shop
                  safe: {command: {capture: echo x}}
                """)
            let running = try dr.start("backup")
            try await wait(for: "begun", in: scratch)
            func state() async throws -> String {
                try await engine.docker("inspect", "--format", "{{.State.Status}}", "app")
            }
            #expect(try await state() == "exited")
            await engine.stop()
            // The group's last capture ends while no Engine answers.
            try scratch.write("fixed", "")
            try await engine.start()
            let outcome = try await running.outcome()
            expect(outcome, .done, "3 of 3 saved")
            #expect(outcome.elapsed < .seconds(60), "\(outcome)")
            #expect(try await state() == "running")
            expect(try await dr.run("doctor"), .done, "none was left stopped")
        }
    }
}
