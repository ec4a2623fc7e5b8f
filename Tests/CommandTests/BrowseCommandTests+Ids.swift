import Glibc
import Model
import TestSupport
import Testing

/// How snapshots are named.
extension BrowseCommandTests {
    @Test("Ids may be shortened as long as they are unique, and it is said when they are not")
    func abbreviations() async throws {
        // Of 17 ids two begin with the same digit.
        let services = (0..<17).map { "  s\($0): {command: {name: one, capture: echo 1}}\n" }
        try await with("repository: repo\nservices:\n" + services.joined()) { scratch, dr in
            #expect(try await dr.run("backup", "-q").status == 0)
            let all = try await ids(dr)
            let twice = try #require(
                Dictionary(grouping: all) { $0.prefix(1) }.first { $0.value.count > 1 })
            for command in [["ls"], ["diff", all[0]], ["snapshots", "pin"]] {
                let outcome = try await dr.program(command + [String(twice.key)]).run()
                #expect(outcome.status == ExitCode.usage.rawValue, "\(outcome)")
                #expect(
                    outcome.errorText.contains(
                        "more than one snapshot begins with \(twice.key): "), "\(outcome)")
                #expect(outcome.errorText.contains("/command:one)"))
            }
            #expect(try await dr.run("ls", all[0].uppercased()).status == 0)
            #expect(try await dr.run("ls", "s3@latest").status == 0)
            #expect(try await dr.run("backup", "-q", "s3").status == 0)
            #expect(try await dr.run("diff", "s4@latest", "latest").text.hasPrefix("no difference"))
            #expect(try await dr.run("ls", "s3@now").status == ExitCode.usage.rawValue)
            #expect(try await dr.run("ls", "s3@6h ago").status == ExitCode.usage.rawValue)
        }
    }
}
