import Engine
import FoundationEssentials
import Model
import Repository
import RepositorySupport
import TestSupport
import Testing

/// Locks on objects, on the stores that have them.
@Suite(.enabled(if: TestEnvironment.hasS3, "needs an S3 server"))
struct S3LockTests {
    private static let month = TimeSpan(seconds: 30 * 86400)

    /// Servers that tests may fill.
    private static let endpoints = [
        TestEnvironment.s3Endpoint, TestEnvironment.otherS3Endpoint,
    ].compactMap { $0 }

    private func store(
        _ endpoint: String, _ place: String, _ span: TimeSpan? = month
    ) async throws -> S3Store {
        var options = S3Options()
        options.retention = span.map { S3Retention(mode: .governance, span: $0) }
        return try await TestBucket.store(at: endpoint, place: place, options: options)
    }

    @Test("What is stored is locked, but not what comes and goes", arguments: endpoints)
    func lockedObjects(_ endpoint: String) async throws {
        let place = "b-\(TestBucket.unusedName())/below"
        let store = try await store(endpoint, place)
        let key = ObjectKey("packs/3f/3f00")
        let passing = ObjectKey("sessions/1")
        try await store.put(key, [Data([1, 2, 3])])
        try await store.put(passing, [Data([4])])
        #expect(try await store.get(key, .whole) == Data([1, 2, 3]))
        let until = try #require(try await store.lockedUntil(key))
        let expected = try await store.now() + Self.month
        #expect(abs((until - expected).seconds) < 60, "\(until)")
        #expect(try await store.lockedUntil(passing) == nil)
        try await store.delete(passing)
        let later = Timestamp(seconds: Int(until.wholeSeconds) + 86400, nanoseconds: 0)
        try await store.lock(key, until: later)
        #expect(try await store.lockedUntil(key) == later)
        await #expect(throws: ObjectMissing.self) {
            try await store.lockedUntil(ObjectKey("packs/3f/none"))
        }
    }

    @Test("A bucket without locks is refused, with what to do", arguments: endpoints)
    func plainBucket(_ endpoint: String) async throws {
        let place = "b-\(TestBucket.unusedName())/below"
        let plain = try await store(endpoint, place, nil)
        let locking = try await store(endpoint, place)
        do {
            try await locking.put(ObjectKey("packs/1"), [Data([1])])
            Issue.record("stored without a lock")
        } catch let failure as Failure {
            #expect(failure.hint?.contains("object lock") == true, "\(failure)")
        }
        #expect(try await plain.size(ObjectKey("packs/1")) == nil)
    }

    @Test(
        "A snapshot is locked no longer than its oldest pack, which is locked anew",
        arguments: endpoints)
    func renewal(_ endpoint: String) async throws {
        var random = SeededRandom.announced()
        let place = "b-\(TestBucket.unusedName())/below"
        // The first night locks for an hour, the second one for a month.
        let shared = random.bytes(1 << 20)
        let early = try await store(endpoint, place, TimeSpan(seconds: 3600))
        var first = try await UpkeepWorld(early)
        let old = try await first.repository.snapshot(try await first.save(shared, night: 1))
        let now = try await early.now()
        let hour = try #require(
            try await first.repository.keepLocked([[old]], index: first.index))
        #expect(hour.renewed == 0)
        #expect(hour.until.allSatisfy { abs(($0 - now).seconds - 3600) < 60 }, "\(hour)")

        var second = try await first.moved(to: try await store(endpoint, place))
        _ = try await second.repository.refresh(second.index)
        let id = try await second.save(shared + [7], night: 2)
        let new = try await second.repository.snapshot(id)
        let kept = try #require(
            try await second.repository.keepLocked([[new], [old]], index: second.index))
        // The first night's record, what holds the bytes of the first night, the key and the configuration; but
        // not what the second night stored itself.
        #expect(kept.renewed == 4, "\(kept)")
        #expect(
            kept.until.allSatisfy { abs(($0 - now).seconds - Self.month.seconds) < 120 }, "\(kept)")
        for object in try await second.store.list("packs") {
            let until = try #require(try await second.store.lockedUntil(object.key))
            #expect(abs((until - now).seconds - Self.month.seconds) < 120, "\(object.key)")
        }
        let again = try await second.repository.keepLocked([[new], [old]], index: second.index)
        #expect(again?.renewed == 0)
    }
}
