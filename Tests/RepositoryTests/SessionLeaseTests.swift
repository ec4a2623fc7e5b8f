import Engine
import Model
import Repository
import TestSupport
import Testing

/// A session says for as long as it lives that somebody counts on what is there.
@Suite struct SessionLeaseTests {
    /// Renews the session until `isEnough`, as fast as the machine can.
    private func renew(
        _ fixture: RepositoryFixture, _ clock: ManualTimepiece,
        until isEnough: @escaping @Sendable () async throws -> Bool
    ) async throws {
        clock.setActive(1)
        try await waitUntil { try await isEnough() }
        clock.setActive(0)
    }

    private func session(_ fixture: RepositoryFixture) async throws -> [UInt8] {
        let object = try #require(try await fixture.store.list("sessions").first)
        return Array(try await fixture.store.get(object.key, .whole))
    }

    @Test("A session that is renewed in time lasts for days")
    func renewed() async throws {
        let fixture = try await RepositoryFixture()
        let clock = ManualTimepiece()
        let lease = try await fixture.repository.beginSession(
            host: "host", processID: 1, timepiece: clock)
        try await renew(fixture, clock) { clock.monotonic > TimeSpan(seconds: 3 * 86400) }
        try lease.check()
        await lease.end()
        #expect(try await fixture.store.list("sessions").isEmpty)
    }

    @Test("A machine that slept does not go on as if nothing were, though it renews its session")
    func renewedTooLate() async throws {
        let fixture = try await RepositoryFixture()
        let clock = ManualTimepiece()
        let lease = try await fixture.repository.beginSession(
            host: "host", processID: 1, timepiece: clock)
        try lease.check()
        let before = try await session(fixture)
        clock.advance(by: TimeSpan(seconds: 3 * 3600))
        #expect(throws: Failure.self) { try lease.check() }
        // What was planned before is old, however fresh the session is.
        try await renew(fixture, clock) { try await session(fixture) != before }
        #expect(throws: Failure.self) { try lease.check() }
        await lease.end()
    }
}
