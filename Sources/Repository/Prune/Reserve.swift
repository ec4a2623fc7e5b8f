import FoundationEssentials
import Model

// A little space is kept aside in a directory, so that what makes room can be written when a disk is
// full: the removal of snapshots, and the lists of packs that are about to go.
extension BackupRepository {
    static let reserve = ObjectKey("reserve")
    static let reserveLength = 1 << 20

    /// Makes the reserve again where it is missing.
    func restoreReserve() async throws {
        guard store.keepsReserve, try await store.size(Self.reserve) == nil else { return }
        try await store.put(Self.reserve, [Data(count: Self.reserveLength)])
    }

    /// Writes a small object; on a full disk the reserve is given up for it.
    func putWithReserve(_ key: ObjectKey, _ bytes: Data) async throws {
        do {
            try await store.put(key, [bytes])
        } catch let failure as Failure where failure.code == .noSpace {
            try await store.delete(Self.reserve)
            try await store.put(key, [bytes])
        }
    }
}
