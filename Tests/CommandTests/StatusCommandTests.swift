import FoundationEssentials
import Model
import TestSupport
import Testing

@Suite("dr status")
struct StatusCommandTests {
    /// As programs read it.
    private struct Overview: Decodable {
        struct Service: Decodable {
            struct Proof: Decodable { var purpose: String }
            var state: String
            var isMeasured: Bool
            var proof: Proof?
        }
        struct Run: Decodable { var result: Int }
        var services: [Service]
        var lastBackup: Run?
    }

    private func overview(_ dr: DrBinary) async throws -> Overview {
        let outcome = try await dr.run("status", "--json")
        return try JSONDecoder().decode(Overview.self, from: Data(outcome.output))
    }

    @Test("Missing, good, overdue: told to people, and to monitoring by the exit code")
    func states() async throws {
        try await TemporaryDirectory.with("status") { scratch in
            try scratch.makeDirectory("www")
            try scratch.write("www/index.html", "<p>hello")
            func configure(_ objectives: String) throws {
                try scratch.write(
                    "dr.yaml",
                    """
                    repository: repo
                    objectives: \(objectives)
                    services:
                      site: {files: [www]}
                    """)
            }
            try configure("{rto: 1s, rpo: 1h}")
            var dr = try DrBinary(in: scratch)
            try await dr.initializeWithKey()
            try require(
                await dr.run("status"), endsWith: .failed, saying: "site", "missing",
                "never saved", "none on this machine")

            try require(await dr.run("backup", "--quiet"), endsWith: .done)
            let good = try await dr.run("status")
            try require(good, endsWith: .done, saying: "good", "never measured")
            #expect(!good.errorText.contains("warning"))
            let overview = try await overview(dr)
            #expect(overview.services.map(\.state) == ["good"])
            #expect(overview.services.map(\.isMeasured) == [false])
            #expect(overview.lastBackup?.result == 0)

            _ = try await OutsideProgram.run(["rm", "-rf", scratch.path("www")])
            try require(await dr.run("restore", "--to", "here", "--yes"), endsWith: .done)
            let proven = try await self.overview(dr).services.first
            #expect(proven?.proof?.purpose == "restore")
            #expect(proven?.isMeasured == true)

            try configure("{rpo: 1s}")
            let limit = ContinuousClock.now + .seconds(20)
            var outcome = try await dr.run("status")
            while outcome.status == 0, ContinuousClock.now < limit {
                outcome = try await dr.run("status")
            }
            try require(outcome, endsWith: .failed, saying: "overdue")
            // A machine that has nothing but the repository and the configuration says the same.
            var elsewhere = dr
            elsewhere.environment["XDG_STATE_HOME"] = scratch.path("elsewhere")
            try require(
                await elsewhere.run("status"), endsWith: .failed, saying: "overdue",
                "none on this machine")
        }
    }
}
