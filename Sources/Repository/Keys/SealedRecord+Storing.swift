import FoundationEssentials
import Model

extension BackupRepository {
    /// Seals and stores a small object, and reads it back: a store that only says that it has it is
    /// found out before anybody counts on it.
    ///
    /// - Parameter usingReserve: On a full disk the space that is kept aside is given up for this one.
    /// - Returns: The object's bytes, as stored.
    @discardableResult
    func putRecord(_ plain: [UInt8], as key: ObjectKey, usingReserve: Bool = false) async throws
        -> Data
    {
        let (sealed, isKept) = try await offerRecord(plain, as: key, usingReserve: usingReserve)
        guard isKept else {
            throw Failure(
                .failed, "\(store.place) does not give back what was just written: \(key)",
                hint: "the store is not to be trusted: check its disk", side: .repository)
        }
        return sealed
    }

    /// As ``putRecord(_:as:usingReserve:)``, but leaves it to the caller when something else comes
    /// back.
    func offerRecord(_ plain: [UInt8], as key: ObjectKey, usingReserve: Bool) async throws
        -> (sealed: Data, isKept: Bool)
    {
        let sealed = try SealedRecord.seal(plain, as: key, with: secrets)
        if usingReserve {
            try await putWithReserve(key, sealed)
        } else {
            try await store.put(key, [sealed])
        }
        do {
            return (sealed, try await store.get(key, .whole) == sealed)
        } catch is ObjectMissing {
            return (sealed, false)
        }
    }
}
