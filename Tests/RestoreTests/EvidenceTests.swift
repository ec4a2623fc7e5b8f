import Catalog
import Model
import Restore
import TestSupport
import Testing

/// What is wrong with the evidence must be told, whoever changed it and wherever.
@Suite("Evidence of drills")
struct EvidenceTests {
    /// A catalog with three records of one run.
    private func catalog() async throws -> (Catalog, RunID) {
        let catalog = try await Catalog.inMemory(for: FakeWorld.repository)
        let run = RunID.random()
        try await catalog.beginRun(
            RunRecord(
                id: run, purpose: .drill, host: "test", processID: 1, version: "test",
                started: FakeWorld.now))
        for text in ["one", "two", "three"] {
            try await EvidenceChain.append(
                to: catalog, of: run, at: FakeWorld.now,
                note: DrillNote(.observation, text, author: "Ada"))
        }
        return (catalog, run)
    }

    @Test("A chain that nobody touched is whole, and gives back what was said")
    func whole() async throws {
        let (catalog, run) = try await catalog()
        let chain = try await EvidenceChain(catalog)
        #expect(chain.problems == [])
        #expect(chain.notes(of: run).compactMap(\.note?.text) == ["one", "two", "three"])
        #expect(chain.links.map(\.record.sequence) == [1, 2, 3])
    }

    @Test("A changed record is noticed, the newest too", arguments: 1...3)
    func changed(number: Int) async throws {
        let (catalog, run) = try await catalog()
        let kept = try await catalog.evidence()[number - 1].bytes
        let text = String(decoding: kept, as: UTF8.self).replacing("Ada", with: "Bob")
        try await catalog.record(
            document: "evidence-\(number)", Array(text.utf8), of: run)
        #expect(try await EvidenceChain(catalog).problems != [])
    }

    @Test("Actions stay open until they are closed")
    func actions() async throws {
        let (catalog, run) = try await catalog()
        let number = try await EvidenceChain.append(
            to: catalog, of: run, at: FakeWorld.now, note: DrillNote(.action, "do", author: "Ada")
        ).sequence
        #expect(try await EvidenceChain(catalog).openActions.map(\.number) == [number])
        var note = DrillNote(.closed, "", author: "Ada")
        note.closes = number
        try await EvidenceChain.append(to: catalog, of: run, at: FakeWorld.now, note: note)
        #expect(try await EvidenceChain(catalog).openActions == [])
    }
}
