import FoundationEssentials
import Model
import Repository
import Testing

/// What people say about snapshots, kept in the writers' chains.
@Suite struct ChainMarksTests {
    private let snapshots = (0..<3).map { _ in SnapshotID.random() }

    /// A machine that writes into the repository, with what it has seen.
    private struct Machine {
        let writer = WriterID.random()
        var known: [ChainHead] = []

        mutating func say(
            _ marks: [MarkChange], at seconds: Int = 0, removed: [SnapshotID] = [],
            _ fixture: RepositoryFixture
        ) async throws {
            known = try #require(
                try await fixture.repository.appendToChain(
                    writer: writer, run: .random(), host: "host",
                    at: Timestamp(seconds: seconds, nanoseconds: 0), added: [], removed: removed,
                    marks: marks, known: known))
        }
    }

    private func pins(_ fixture: RepositoryFixture) async throws -> Set<SnapshotID> {
        let marks = try await fixture.repository.readChains().marks.holding
        return Set(marks.filter { $0.mark == .pinned }.map(\.snapshot))
    }

    @Test func aPinHoldsUntilItIsTakenAway() async throws {
        let fixture = try await RepositoryFixture()
        var machine = Machine()
        try await machine.say(
            [
                MarkChange(snapshots[0], .pinned, isSet: true, reason: "before the upgrade"),
                MarkChange(snapshots[1], .pinned, isSet: true),
                MarkChange(snapshots[1], .accepted, isSet: true, reason: "table was dropped"),
            ], fixture)
        let marks = try await fixture.repository.readChains().marks.holding
        #expect(Set(marks.map(\.reason)) == ["before the upgrade", "", "table was dropped"])
        #expect(try await pins(fixture) == Set(snapshots[..<2]))
        try await machine.say([MarkChange(snapshots[0], .pinned, isSet: false)], fixture)
        #expect(try await pins(fixture) == [snapshots[1]])
        let chains = try await fixture.repository.readChains()
        #expect(chains.marks.cleared.map(\.snapshot) == [snapshots[0]])
        try await machine.say([MarkChange(snapshots[0], .pinned, isSet: true)], fixture)
        #expect(try await pins(fixture) == Set(snapshots[..<2]))
        // Nothing is said any more of what was removed.
        try await machine.say([], removed: [snapshots[1]], fixture)
        #expect(try await pins(fixture) == [snapshots[0]])
        #expect(try await fixture.repository.readChains().marks.holding.count == 1)
    }

    @Test func whoeverKnewOfAPinMayTakeItAwayWhateverTheClocksSay() async throws {
        let fixture = try await RepositoryFixture()
        var first = Machine()
        var second = Machine()
        try await first.say(
            [MarkChange(snapshots[0], .pinned, isSet: true)], at: 1_000_000, fixture)
        // Its clock is days behind, but it has seen the pin.
        try await second.say([MarkChange(snapshots[0], .pinned, isSet: false)], at: 5, fixture)
        #expect(try await pins(fixture).isEmpty)
        try await first.say([MarkChange(snapshots[0], .pinned, isSet: true)], at: 1, fixture)
        #expect(try await pins(fixture) == [snapshots[0]])
    }

    @Test func ofTwoThatDidNotKnowOfEachOtherThePinCounts() async throws {
        let fixture = try await RepositoryFixture()
        var first = Machine()
        var second = Machine()
        try await second.say([MarkChange(snapshots[0], .pinned, isSet: true)], fixture)
        try await second.say(
            [MarkChange(snapshots[0], .pinned, isSet: false)], at: 10_000, fixture)
        // The first one writes while the store does not show it the other's records.
        var hidden: [ObjectKey: Data] = [:]
        for object in try await fixture.store.list("writers") {
            hidden[object.key] = try await fixture.store.get(object.key, .whole)
            try await fixture.store.delete(object.key)
        }
        try await first.say([MarkChange(snapshots[0], .pinned, isSet: true)], at: 1, fixture)
        for (key, bytes) in hidden { try await fixture.store.put(key, [bytes]) }
        #expect(try await pins(fixture) == [snapshots[0]])
        #expect(try await fixture.repository.readChains().findings.isEmpty)
    }
}
