import Engine
import Glibc
import Model
import TestSupport
import Testing

/// What a network and a store do wrong while the real program works with a real SeaweedFS.
@Suite(
    "Nights and restores over a bad line",
    .enabled(if: TestEnvironment.hasS3, "needs an S3 server"))
struct BucketFaultTests: CommandSuite {
    /// Something that goes wrong at a random request, and sometimes with all after it.
    struct Trouble: Sendable {
        var name: String
        var fault: FaultProxy.Fault
        var method: String?
        var part = ""
    }

    private static let troubles = [
        Trouble(
            name: "503",
            fault: .answer(status: 503, body: "<Error><Code>SlowDown</Code></Error>")),
        Trouble(name: "500", fault: .answer(status: 500, body: "")),
        Trouble(name: "a lost request", fault: .dropRequest),
        Trouble(name: "a lost answer", fault: .dropResponse),
        Trouble(name: "no answer", fault: .hang),
        Trouble(name: "a wrong bit on the way there", fault: .flipRequest(4321), method: "PUT"),
        Trouble(name: "done that is not done", fault: .lie, method: "PUT"),
        Trouble(name: "an answer that is cut", fault: .cutResponse(after: 100), method: "GET"),
        Trouble(name: "an answer that is too short", fault: .shorten(to: 100), method: "GET"),
        Trouble(name: "a wrong bit on the way back", fault: .flipResponse(333), method: "GET"),
        Trouble(
            name: "a listing without what is there",
            fault: .answer(
                status: 200,
                body: "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"),
            method: "GET", part: "list-type"),
    ]

    @Test(
        "Nothing is said to be safe that is not, it gives up by its deadline, and nobody has to clean up",
        .timeLimit(.minutes(30)))
    func everyTrouble() async throws {
        // Ten runs each by --full.
        let runs = TestEnvironment.isFull ? 10 : 2
        var random = SeededRandom.announced()
        let orders = Self.troubles.map { ($0, seed: UInt64.random(in: 0 ... .max, using: &random)) }
        let counts = try await sideBySide(orders, atOnce: 4) { trouble, seed in
            try await TemporaryDirectory.with("line") { scratch in
                var line = try await BadLine(scratch, trouble, SeededRandom(seed: seed))
                for number in 0..<runs { try await line.run(isLasting: number % 2 == 1) }
                return try await line.end()
            }
        }
        for ((trouble, _), count) in zip(orders, counts) {
            print("\(trouble.name): \(count)")
            #expect(count.faults > 0, "\(trouble.name) never happened")
        }
    }
}

/// A machine, its repository in a bucket, and the line between them.
private struct BadLine: CommandSuite {
    struct Count {
        var faults = 0
        var done = 0
        var ended = 0
    }

    private let scratch: TemporaryDirectory
    private let dr: DrBinary
    private let proxy: FaultProxy
    private let trouble: BucketFaultTests.Trouble
    private var random: SeededRandom
    private var count = Count()

    init(
        _ scratch: TemporaryDirectory, _ trouble: BucketFaultTests.Trouble, _ random: SeededRandom
    ) async throws {
        self.scratch = scratch
        self.trouble = trouble
        self.random = random
        let endpoint = TestEnvironment.s3Endpoint ?? ""
        proxy = try FaultProxy(to: endpoint)
        let bucket = "lines/\(String(UInt64.random(in: 0 ... .max), radix: 16))"
        for (name, place) in [("dr.yaml", endpoint), ("far.yaml", proxy.url)] {
            try scratch.write(
                name,
                """
                repository: {place: "s3:\(place)/\(bucket)", deadline: 3s}
                backup: {attempts: 1}
                services: {site: {files: [site]}}
                """)
        }
        var dr = try DrBinary(in: scratch)
        dr.environment["AWS_ACCESS_KEY_ID"] = TestEnvironment.s3Key
        dr.environment["AWS_SECRET_ACCESS_KEY"] = TestEnvironment.s3Secret
        try scratch.makeDirectory("site")
        try await dr.initializeWithKey()
        self.dr = dr
        try await change()
        expect(try await dr.run("backup"), .done, "1 of 1 saved")
    }

    private func change() async throws {
        try await shell(
            """
            head -c 900000 /dev/urandom >site/random
            for n in $(seq 30); do echo $RANDOM$RANDOM$n >site/$n; done
            """, in: scratch)
    }

    private func restored(_ target: String) async throws {
        try await shell(
            "diff -r site $(find \(target) -name site -type d | tail -1); rm -rf \(target)",
            in: scratch)
    }

    /// A night and a restore with trouble, and after each what must hold without any.
    mutating func run(isLasting: Bool) async throws {
        try await change()
        let night = try await spoiled(isLasting, ["backup"])
        if night.status == 0 {
            // What was said to be safe is.
            expect(try await dr.run("restore", "site", "--to", "./night", "--yes"), .done)
            try await restored("night")
        }
        expect(try await dr.run("backup"), .done, "1 of 1 saved")

        let restore = try await spoiled(isLasting, ["restore", "site", "--to", "./back", "--yes"])
        if restore.status == 0 { try await restored("back") }
        try await shell("rm -rf back", in: scratch)
        expect(try await dr.run("restore", "site", "--to", "./again", "--yes"), .done)
        try await restored("again")
    }

    private mutating func spoiled(
        _ isLasting: Bool, _ arguments: [String]
    ) async throws -> OutsideProgram.Outcome {
        let isRare = trouble.method == "PUT" || !trouble.part.isEmpty
        proxy.clear()
        proxy.add(
            FaultProxy.Rule(
                trouble.fault, on: trouble.method, trouble.part,
                // A small night stores and lists a handful, and asks for some more.
                skip: Int.random(in: 0..<(isRare ? 3 : 8), using: &random),
                times: isLasting ? .max : Int.random(in: 1...2, using: &random)))
        let before = proxy.faults
        let outcome = try await dr.program(
            arguments, environment: ["DR_CONFIG": scratch.path("far.yaml")], timeout: .seconds(300)
        ).run()
        proxy.clear()
        count.faults += proxy.faults - before
        #expect(outcome.elapsed < .seconds(90), "\(trouble.name): \(outcome)")
        if outcome.status == 0 {
            count.done += 1
        } else {
            count.ended += 1
            // Neither "no repository" nor "wrong password": the line is no evidence for that.
            #expect([1, 3, 13].contains(outcome.status), "\(trouble.name): \(outcome)")
            #expect(outcome.errorText.contains("hint:"), "\(trouble.name): \(outcome)")
        }
        return outcome
    }

    func end() async throws -> Count {
        expect(try await dr.run("check", "--read-data"), .done)
        proxy.stop()
        return count
    }
}
