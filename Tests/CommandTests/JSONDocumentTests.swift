import FoundationEssentials
import Model
import TestSupport
import Testing

@Suite("docs/json.md")
struct JSONDocumentTests {
    /// The keys of objects, at any depth.
    private struct Keys: Decodable {
        struct Name: CodingKey {
            var stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }
        var all: Set<String> = []

        init(from decoder: any Decoder) throws {
            if let object = try? decoder.container(keyedBy: Name.self) {
                for key in object.allKeys {
                    all.insert(key.stringValue)
                    all.formUnion(try object.decode(Keys.self, forKey: key).all)
                }
            } else if var list = try? decoder.unkeyedContainer() {
                while !list.isAtEnd { all.formUnion(try list.decode(Keys.self).all) }
            }
        }
    }

    @Test("Every key that commands print is explained")
    func complete() async throws {
        let text = try await OutsideProgram.run(["cat", Checkout.path("docs/json.md")]).text
        let explained = Set(
            text.split(separator: "`", omittingEmptySubsequences: false).enumerated()
                .filter { !$0.offset.isMultiple(of: 2) }.map { String($0.element) })
        let configuration = """
            objectives: {rto: 1h, rpo: 24h}
            retention: {daily: 7}
            services:
              site: {files: [www]}
            """
        try await SmallWorld.with("json", configuration) { world in
            try world.scratch.makeDirectory("www")
            try world.scratch.write("www/page", "page\n")
            world.expect(try await world.dr.run("backup"), .done)
            try world.scratch.write("www/other", "other\n")
            for words in [
                ["backup"], ["restore", "--to", "here", "--replace", "--yes"], ["status"],
                ["snapshots"], ["plan"], ["report"], ["report", "--history"],
                ["check", "--read-data"], ["forget", "--dry-run"], ["prune", "--dry-run"],
                ["key", "list"], ["ls", "site@latest"], ["find", "page"],
                ["diff", "site@latest", "site@latest"], ["notify"], ["version"], ["doctor"],
            ] {
                let outcome = try await world.dr.program(words + ["--json"]).run()
                var keys: Set<String> = []
                for line in outcome.text.split(separator: "\n") {
                    keys.formUnion(try JSONDecoder().decode(Keys.self, from: Data(line.utf8)).all)
                }
                #expect(!keys.isEmpty || words == ["notify"], "\(words): \(outcome)")
                let unexplained = keys.subtracting(explained).sorted()
                #expect(unexplained == [], "\(words)")
            }
        }
    }
}
