import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// The whole way on a bucket: the real program, a real SeaweedFS.
@Suite("A repository in a bucket", .enabled(if: TestEnvironment.hasS3, "needs an S3 server"))
struct BucketTests: CommandSuite {
    private func unusedPlace() -> String {
        "\(TestEnvironment.s3Endpoint ?? "")/commands/\(String(UInt64.random(in: 0 ... .max), radix: 16))"
    }

    private func shownPlaces(_ dr: DrBinary) async throws -> [Status.Place] {
        let shown = try await dr.run("status", "--json")
        return try JSONDecoder().decode(Status.self, from: Data(shown.output)).places
    }

    private func with(
        _ body: (TemporaryDirectory, inout DrBinary) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with("bucket") { scratch in
            var dr = try DrBinary(in: scratch)
            dr.environment["AWS_ACCESS_KEY_ID"] = TestEnvironment.s3Key
            dr.environment["AWS_SECRET_ACCESS_KEY"] = TestEnvironment.s3Secret
            try scratch.makeDirectory("site")
            try await shell(
                """
                for n in $(seq 40); do seq $n $((n * 500)) >site/$n; done
                head -c 3000000 /dev/urandom >site/random; ln -s random site/link
                """, in: scratch)
            try await body(scratch, &dr)
        }
    }

    @Test("Made, filled, restored, checked, forgotten and pruned")
    func wholeWay() async throws {
        try await with { scratch, dr in
            try scratch.write(
                "dr.yaml",
                "repository: s3:\(unusedPlace())\nservices: {site: {files: [site]}}\n")
            try await dr.initializeWithKey()
            expect(try await dr.run("backup"), .done, "1 of 1 saved")
            try await shell("seq 77777 >site/new; rm site/7", in: scratch)
            expect(try await dr.run("backup"), .done, "1 of 1 saved")
            expect(try await dr.run("check", "--read-data"), .done)
            expect(try await dr.run("restore", "site", "--to", "./back", "--yes"), .done)
            try await shell("diff -r site $(find back -name site -type d | tail -1)", in: scratch)

            // Another machine knows nothing but where it is.
            var fresh = dr
            fresh.environment["XDG_STATE_HOME"] = scratch.path("other-state")
            let list = try await fresh.run("snapshots", "site", "--json")
            #expect(list.text.split(separator: "\"id\":\"").count == 3, "\(list)")
            expect(try await dr.run("prune", "--keep-last", "1", "--yes"), .done)
            expect(try await fresh.run("check", "--read-data"), .done)
            expect(try await fresh.run("restore", "site", "--to", "./again", "--yes"), .done)
            try await shell("diff -r site $(find again -name site -type d | tail -1)", in: scratch)
            let again = try await dr.run("init", environment: ["DR_PASSWORD": "x"])
            expect(again, .failed, "there is a repository at s3:http://", "already")
        }
    }

    @Test("Keys come from a file or a profile; without any it says where they could come from")
    func credentials() async throws {
        try await with { scratch, dr in
            let place = unusedPlace()
            dr.environment["AWS_ACCESS_KEY_ID"] = nil
            dr.environment["AWS_SECRET_ACCESS_KEY"] = nil
            dr.environment["DR_PASSWORD"] = "correct horse battery staple"
            dr.environment["DR_CONFIG"] = "dr.yaml"
            try scratch.write("dr.yaml", "repository: s3:\(place)\n")
            expect(
                try await dr.run("init"), .usage, "there are no keys for the store",
                "set AWS_ACCESS_KEY_ID")
            let keys =
                "[backups]\naws_access_key_id = \(TestEnvironment.s3Key ?? "")\n"
                + "aws_secret_access_key = \(TestEnvironment.s3Secret ?? "")\n"
            chmod(try scratch.write("keys", keys), 0o600)
            try scratch.write(
                "dr.yaml",
                """
                repository:
                  place: s3:\(place)
                  credentials_file: keys
                  profile: backups
                  style: path
                  region: eu-central-1
                """)
            expect(try await dr.run("init"), .done)
            try scratch.write("dr.yaml", "repository: s3:\(place)\n")
            try scratch.makeDirectory(".aws")
            chmod(try scratch.write(".aws/credentials", keys), 0o600)
            dr.environment["AWS_PROFILE"] = "backups"
            expect(try await dr.run("snapshots"), .done)
            // A wrong key is said to be one, and shown nowhere.
            dr.environment["AWS_ACCESS_KEY_ID"] = TestEnvironment.s3Key
            dr.environment["AWS_SECRET_ACCESS_KEY"] = "canary-of-a-secret"
            let wrong = try await dr.run("snapshots", "-v")
            expect(wrong, .failed, "refuses", "secret key")
            #expect(!wrong.text.contains("canary") && !wrong.errorText.contains("canary"))
        }
    }

    @Test(
        "Status tells per service where it lies, how old that is, and until when nobody can delete it"
    )
    func places() async throws {
        try await with { scratch, dr in
            let name = String(UInt64.random(in: 0 ... .max), radix: 16)
            try scratch.makeDirectory("notes")
            try scratch.write("notes/one", "1")
            func configure(_ span: String) throws {
                try scratch.write(
                    "dr.yaml",
                    """
                    repository:
                      place: "s3:\(TestEnvironment.s3Endpoint ?? "")/locks-\(name)/own"
                      retain_for: \(span)
                    copies:
                      near: {place: copy}
                    services: {site: {files: [site]}, notes: {files: [notes]}}
                    """)
            }
            try configure("2d")
            try await dr.initializeWithKey()
            expect(try await dr.run("init", "--copy", "near"), .done)
            expect(try await dr.run("backup"), .done, "2 of 2 saved")
            var found = try await shownPlaces(dr)
            #expect(
                found.map { "\($0.service) \($0.copy ?? "-")" }
                    == ["site -", "site near", "notes -", "notes near"])
            #expect(found.allSatisfy { $0.asOf != nil })
            #expect(found.map { $0.days.map { Int($0.rounded()) } } == [2, nil, 2, nil])

            // Locks of what did not change are renewed; one service has nothing new at all.
            try configure("10d")
            try await shell("seq 77777 >site/new", in: scratch)
            expect(try await dr.run("backup"), .done, "2 of 2 saved")
            found = try await shownPlaces(dr)
            #expect(found.map { $0.days.map { Int($0.rounded()) } } == [10, nil, 10, nil])
            let page = try await dr.run("status")
            expect(page, .done, "IMMUTABLE UNTIL", "repository", "near")

            // A copy that lacks a service says so.
            try scratch.makeDirectory("late")
            try scratch.write("late/two", "2")
            var text = try String(contentsOfFile: scratch.path("dr.yaml"), encoding: .utf8)
            text = text.replacing(
                "{files: [notes]}}", with: "{files: [notes]}, late: {files: [late]}}")
            try scratch.write("dr.yaml", text.replacing("place: copy", with: "place: gone"))
            _ = try await dr.run("backup")
            #expect(try await dr.run("status").text.contains("not whole"))
        }
    }

    @Test(
        "The store is killed in the middle of a night and of a restore: both end, and go on by themselves",
        .enabled(if: TestEnvironment.hasWeed, "needs SeaweedFS"))
    func killedStore() async throws {
        try await with { scratch, dr in
            let weed = try await TemporarySeaweed(in: scratch)
            dr.environment["AWS_ACCESS_KEY_ID"] = weed.key
            dr.environment["AWS_SECRET_ACCESS_KEY"] = weed.secret
            // The second workload waits until the test says so.
            try scratch.write(
                "dr.yaml",
                """
                repository: {place: "s3:\(weed.url)/nights/own", deadline: 3s}
                backup: {attempts: 1, jobs: 1}
                services:
                  site: {files: [site], priority: 90}
                  late:
                    command:
                      capture: [sh, -c, "touch begun; while ! test -e go; do sleep 0.05; done; head -c 3000000 /dev/urandom"]
                    priority: 10
                """)
            try await dr.initializeWithKey()
            let night = try dr.start("backup")
            try await wait(for: "begun", in: scratch)
            await weed.kill()
            try scratch.write("go", "")
            let ended = try await night.outcome()
            #expect([1, 3].contains(ended.status), "\(ended)")
            #expect(ended.errorText.contains("hint:"), "\(ended)")
            #expect(ended.elapsed < .seconds(90), "\(ended)")
            #expect(!ended.text.contains("2 of 2 saved"), "\(ended)")

            try await weed.start()
            expect(try await dr.run("backup"), .done, "2 of 2 saved")
            expect(try await dr.run("check", "--read-data"), .done)

            await weed.kill()
            let cut = try await dr.run("restore", "site", "--to", "./back", "--yes")
            #expect(cut.status == 1 && cut.errorText.contains("hint:"), "\(cut)")
            #expect(cut.elapsed < .seconds(60), "\(cut)")
            try await weed.start()
            expect(try await dr.run("restore", "site", "--to", "./back", "--yes"), .done)
            try await shell("diff -r site $(find back -name site -type d | tail -1)", in: scratch)
        }
    }
}

/// What of `dr status --json` is looked at.
private struct Status: Decodable {
    struct Place: Decodable {
        var service: String
        var copy: String?
        var asOf: String?
        var lockedUntil: String?

        /// How many days from now on it is locked.
        var days: Double? {
            lockedUntil.flatMap { Timestamp(rfc3339: $0) }.map {
                Double($0.wholeSeconds - Int64(time(nil))) / 86400
            }
        }
    }
    var places: [Place]
}
