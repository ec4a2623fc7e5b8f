import Engine
import Synchronization

/// Brings an index up to date when it turns out to be wrong: a place is a hint, and before damage is
/// reported the packs are listed again. Blocks.
final class IndexRelearning: Sendable {
    private let repository: BackupRepository
    private let index: any ChunkIndex
    /// Where something is really lost, listing again and again would not bring it back.
    private let patience = Mutex(3)

    init(repository: BackupRepository, index: any ChunkIndex) {
        self.repository = repository
        self.index = index
    }

    /// - Returns: Whether the index may have learned something; false when it is no use to ask again.
    func again() throws -> Bool {
        guard patience.withLock({ $0 > 0 }) else { return false }
        let change = try waitBlocking { [repository, index] in try await repository.refresh(index) }
        let learned = change.learned > 0 || !change.vanished.isEmpty
        if !learned { patience.withLock { $0 -= 1 } }
        // Another thread may have brought it up to date between the miss and this.
        return true
    }
}
