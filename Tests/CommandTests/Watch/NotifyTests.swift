import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// Who is told how nights went, by listeners that stand in for the services people use.
@Suite("Who is told how nights went")
struct NotifyTests {
    private static let token = "tok-4f9c1e7b2a-planted"

    /// One of each kind.
    private static func receivers(_ url: String) -> String {
        let web = ["ntfy", "discord", "slack", "gotify", "webhook", "healthchecks"].map {
            "  - {\($0): \"\(url)/\($0)\", token_file: token}"
        }
        return "notify:\n" + web.joined(separator: "\n") + "\n  - {mail: root@example.org}\n"
    }

    private static let services = """
        backup: {attempts: 1}
        services:
          good: {files: [data]}
          flaky:
            command:
              capture: [sh, -c, "test -e fixed && seq 100 || { echo no such table >&2; exit 7; }"]
        """

    @Test("Each kind of receiver is told of failure and recovery, once each, and never a secret")
    func everyKind() async throws {
        let listener = try MessageListener()
        let configuration = Self.receivers(listener.url) + Self.services
        try await SmallWorld.with("notify", configuration) { world in
            try world.scratch.makeDirectory("data")
            try world.scratch.write("data/file", "precious\n")
            _ = try world.secret("token", Self.token)
            try world.program("sendmail", "echo \"args $*\" >>mails; cat >>mails; echo . >>mails")

            let failed = try await world.dr.run("backup")
            world.expect(failed, .partial, "1 of 2 saved")
            let first = listener.take()
            try check(first, start: true, end: "/fail", bad: true)
            for request in first where !request.target.hasSuffix("/start") {
                #expect(request.text.contains("flaky/command:command"), "\(request)")
                #expect(request.text.contains("no such table"), "\(request)")
            }
            var mails = try await world.text(of: "mails")
            #expect(mails.contains("args -t -i\n"))
            #expect(mails.contains("To: root@example.org\n"))
            #expect(mails.contains("Subject: dr: backup on "))
            #expect(mails.contains("1 of 2 failed"))
            #expect(mails.split(separator: "\n").count { $0 == "." } == 1, "\(mails)")

            try world.scratch.write("fixed", "")
            let good = try await world.dr.run("backup")
            world.expect(good, .done, "2 of 2 saved")
            let second = listener.take()
            try check(second, start: true, end: "", bad: false)
            for request in second where !request.target.contains("healthchecks") {
                #expect(request.text.contains("recovered: flaky/command:command"), "\(request)")
            }

            // Nothing has happened: only who counts runs is told.
            world.expect(try await world.dr.run("backup"), .done)
            let third = listener.take().map(\.target)
            #expect(
                third == ["/healthchecks/\(Self.token)/start", "/healthchecks/\(Self.token)"])
            mails = try await world.text(of: "mails")
            #expect(mails.split(separator: "\n").count { $0 == "." } == 2, "\(mails)")

            let secrets = [Self.token, SmallWorld.password]
            let bodies = (first + second).map(\.text) + [mails]
            for outcome in [failed, good] {
                for secret in secrets {
                    #expect(!outcome.text.contains(secret) && !outcome.errorText.contains(secret))
                }
            }
            for body in bodies { for secret in secrets { #expect(!body.contains(secret)) } }
        }
    }

    /// Each web receiver has one message in its own form; healthchecks a start before its end.
    private func check(
        _ requests: [TinyHTTPServer.Request], start: Bool, end: String, bad: Bool
    ) throws {
        func one(_ target: String) throws -> TinyHTTPServer.Request {
            let found = requests.filter { $0.target == target }
            #expect(found.count == 1, "\(target): \(requests.map(\.target))")
            return try #require(found.first)
        }
        let ntfy = try one("/ntfy")
        #expect(ntfy.headers["authorization"] == "Bearer \(Self.token)")
        #expect(ntfy.headers["title"]?.hasPrefix("dr: backup on ") == true)
        #expect(ntfy.headers["priority"] == (bad ? "high" : "default"))
        #expect(try members(one("/discord/\(Self.token)"))["content"]?.isEmpty == false)
        #expect(try members(one("/slack/\(Self.token)"))["text"]?.isEmpty == false)
        let gotify = try one("/gotify/message")
        #expect(gotify.headers["x-gotify-key"] == Self.token)
        #expect(gotify.text.contains("\"priority\":\(bad ? 8 : 3)"))
        let webhook = try one("/webhook")
        #expect(webhook.headers["authorization"] == "Bearer \(Self.token)")
        #expect(webhook.text.contains("\"bad\":\(bad)"))
        let checks = requests.map(\.target).filter { $0.contains("healthchecks") }
        #expect(
            checks == [
                "/healthchecks/\(Self.token)/start", "/healthchecks/\(Self.token)\(end)",
            ])
        #expect(requests.count == 7)
    }

    /// The texts of a JSON object.
    private func members(_ request: TinyHTTPServer.Request) throws -> [String: String] {
        struct Texts: Decodable {
            var content: String?
            var text: String?
        }
        let texts = try JSONDecoder().decode(Texts.self, from: Data(request.body))
        return ["content": texts.content, "text": texts.text].compactMapValues { $0 }
    }

    @Test(
        "A receiver is told only what it asked for, and a suspicious snapshot until it is accepted")
    func chosenEvents() async throws {
        let listener = try MessageListener()
        let configuration = """
            notify:
              - {webhook: "\(listener.url)/failures", on: failure}
              - {webhook: "\(listener.url)/odd", on: [suspicious, recovered]}
              - {webhook: "\(listener.url)/all-well", on: success}
            services:
              site: {files: [site]}
            """
        try await SmallWorld.with("notify", configuration) { world in
            try world.scratch.makeDirectory("site")
            for number in 0..<30 { try world.scratch.write("site/\(number)", "page \(number)\n") }
            world.expect(try await world.dr.run("backup"), .done)
            #expect(listener.take().map(\.target) == ["/all-well"])
            for number in 3..<30 { unlink(world.scratch.path("site/\(number)")) }
            world.expect(try await world.dr.run("backup"), .partial)
            let odd = listener.take()
            #expect(odd.map(\.target) == ["/odd"])
            #expect(odd.first?.text.contains("dr snapshots accept") == true)
            for number in 3..<30 { try world.scratch.write("site/\(number)", "page \(number)\n") }
            world.expect(try await world.dr.run("backup"), .done)
            #expect(Set(listener.take().map(\.target)) == ["/odd", "/all-well"])
        }
    }

    @Test("Dead receivers neither fail the night nor hold the next one up")
    func deadReceivers() async throws {
        // Takes connections and never says a word.
        let silent = try TinyHTTPServer(handler: { _, _ in true })
        let configuration = """
            notify:
              - {webhook: "\(silent.url)/silent", on: success}
              - {webhook: "http://127.0.0.1:\(try unusedPort())/nobody", on: success}
              - {ntfy: "http://nowhere.invalid/topic", on: success}
              - {gotify: "\(silent.url)", token_command: [sleep, "600"], on: success}
              - {discord: "\(silent.url)", token_file: missing, on: success}
            services:
              site: {files: [site]}
            """
        try await SmallWorld.with("notify", configuration) { world in
            try world.scratch.makeDirectory("site")
            try world.scratch.write("site/page", "page\n")
            let running = try world.dr.start("backup", "--json")
            try await world.until("the result is said") {
                running.outputSoFar().contains("\"message_type\":\"summary\"")
            }
            // The first one still waits for its receivers; nobody waits for it.
            try world.scratch.write(
                "calm.yaml", "repository: repo\nservices: {site: {files: [site]}}\n")
            let second = try await world.dr.run(
                "backup", "--quiet", environment: ["DR_CONFIG": "calm.yaml"])
            world.expect(second, .done)
            let first = try await running.outcome()
            world.expect(first, .done)
            #expect(first.elapsed < .seconds(30))
            #expect(first.errorText.contains("webhook at 127.0.0.1"), "\(first)")
            #expect(first.errorText.contains("ntfy at nowhere.invalid was not told"), "\(first)")
            #expect(first.errorText.contains("no answer within"), "\(first)")
        }
    }

    @Test("Overdue is told once, by whoever looks, and so is its end")
    func overdue() async throws {
        let listener = try MessageListener()
        let configuration = """
            objectives: {rpo: 24h}
            notify: {webhook: "\(listener.url)/hook"}
            services:
              site: {files: [site]}
            """
        try await SmallWorld.with("notify", configuration) { world in
            for _ in 0..<3 {
                world.expect(
                    try await world.dr.run("notify"), .failed,
                    "overdue: site: there is no good snapshot of site/files:files")
            }
            let told = listener.take()
            #expect(told.count == 1)
            #expect(told.first?.text.contains("\"events\":[\"overdue\"]") == true)
            try world.scratch.makeDirectory("site")
            try world.scratch.write("site/page", "page\n")
            world.expect(try await world.dr.run("backup"), .done)
            let recovered = listener.take()
            #expect(recovered.count == 1)
            #expect(recovered.first?.text.contains("recovered: overdue/site") == true)
            world.expect(try await world.dr.run("notify"), .done, "nothing is overdue")
            #expect(listener.take().isEmpty)
        }
    }

    @Test("A run that cannot even begin is told, and written for Prometheus")
    func cannotBegin() async throws {
        let listener = try MessageListener()
        let configuration = """
            notify: {webhook: "\(listener.url)/hook", on: [failure, recovered]}
            metrics: dr.prom
            objectives: {rpo: 24h, rto: 1h}
            services:
              site: {files: [site]}
            """
        try await SmallWorld.with("notify", configuration) { world in
            try world.scratch.makeDirectory("site")
            try world.scratch.write("site/page", "page\n")
            world.expect(try await world.dr.run("backup"), .done)
            let good = try await metrics(world)
            #expect(good["dr_last_run_status"] == 2)
            #expect(good["dr_service_status{service=\"site\"}"] == 2)
            #expect(good["dr_overdue{service=\"site\"}"] == 0)
            #expect(good["dr_rpo_target_seconds{service=\"site\"}"] == 86400)
            #expect(good["dr_rto_target_seconds{service=\"site\"}"] == 3600)
            var status = stat()
            #expect(stat(world.scratch.path("dr.prom"), &status) == 0)
            #expect(status.st_mode & 0o777 == 0o644)

            #expect(rename(world.scratch.path("repo"), world.scratch.path("away")) == 0)
            world.expect(try await world.dr.run("backup"), .noRepository)
            let told = listener.take()
            #expect(told.count == 1)
            #expect(told.first?.text.contains("no repository") == true, "\(told)")
            let bad = try await metrics(world)
            #expect(bad["dr_last_run_status"] == 0)
            #expect(bad["dr_last_run_exit_code"] == Double(ExitCode.noRepository.rawValue))
            // What is safe is as old as it is.
            let saved = "dr_last_success_timestamp_seconds{service=\"site\"}"
            #expect(bad[saved] != nil && bad[saved] == good[saved])

            #expect(rename(world.scratch.path("away"), world.scratch.path("repo")) == 0)
            let before = try #require(bad["dr_last_run_timestamp_seconds"])
            world.expect(try await world.dr.run("check", "--read-data"), .done)
            world.expect(try await world.dr.run("backup"), .done)
            #expect(listener.take().first?.text.contains("recovered: the run") == true)
            let healed = try await metrics(world)
            #expect(healed["dr_last_run_status"] == 2)
            // Nothing had been read back before.
            #expect(bad["dr_last_verified_timestamp_seconds"] == nil)
            #expect(try #require(healed["dr_last_verified_timestamp_seconds"]) >= before)
        }
    }

    /// The values of the file, each once, by name and labels.
    private func metrics(_ world: SmallWorld) async throws -> [String: Double] {
        var values: [String: Double] = [:]
        for line in try await world.text(of: "dr.prom").split(separator: "\n")
        where !line.hasPrefix("#") {
            let parts = line.split(separator: " ")
            try #require(parts.count == 2, "\(line)")
            #expect(values[String(parts[0])] == nil, "twice: \(line)")
            let value: Double = try #require(Double(parts[1]), "\(line)")
            values[String(parts[0])] = value
        }
        return values
    }

    @Test("A test message reaches everybody, and who does not get it is named")
    func testMessage() async throws {
        let listener = try MessageListener()
        let configuration = """
            notify:
              - {slack: "\(listener.url)/slack", on: failure}
              - {webhook: "http://127.0.0.1:\(try unusedPort())/secret-path"}
            services:
              site: {files: [site]}
            """
        try await SmallWorld.with("notify", configuration) { world in
            let outcome = try await world.dr.run("notify", "--test")
            world.expect(outcome, .failed, "told 1 of 2", "webhook at 127.0.0.1")
            #expect(!outcome.errorText.contains("secret-path"))
            #expect(listener.take().map(\.target) == ["/slack"])
        }
    }
}
