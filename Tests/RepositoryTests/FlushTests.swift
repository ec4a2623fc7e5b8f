import Engine
import Glibc
import Model
import Repository
import RepositorySupport
import Synchronization
import TestSupport
import Testing

/// Captures that end at the same moment.
@Suite struct FlushTests {
    @Test("A flush does not return as long as another one holds what it stands for")
    func together() async throws {
        var random = SeededRandom.announced()
        let fixture = try await RepositoryFixture()
        let (isSealing, hasEnded) = (Monitor(false), Monitor(false))
        var options = WriteOptions(workers: 1)
        options.memoryFault = { point, bytes in
            guard point == .afterSealing, !isSealing.update({ $0 }) else { return }
            // The first flush has the frame that both contents are in. What the second one says
            // before this one is done cannot be true.
            isSealing.update { $0 = true }
            for _ in 0..<60 where !hasEnded.update({ $0 }) { usleep(5000) }
            bytes[bytes.count / 2] ^= 1
        }
        let session = fixture.repository.makeWriteSession(index: fixture.index, options: options)
        let contents = [random.bytes(3000), random.bytes(3000)]
        try await BlockingPool.shared.run {
            for content in contents {
                let writer = session.makeContentWriter()
                writer.begin(.standard)
                try content.withUnsafeBytes { try writer.append($0) }
                try writer.end()
                try writer.drain()
            }
        }
        async let second: Bool = BlockingPool.shared.run {
            _ = isSealing.wait { $0 ? true : nil }
            defer { hasEnded.update { $0 = true } }
            do {
                try session.flush()
                return true
            } catch {
                return false
            }
        }
        await #expect(throws: Failure.self) {
            try await BlockingPool.shared.run { try session.flush() }
        }
        #expect(try await second == false, "it said that what is lost is safe")
        try await BlockingPool.shared.run { session.close() }
        #expect(try await fixture.store.list("packs").isEmpty)
    }
}
