import Crypto
import Engine
public import Model

/// A key slot as a listing shows it.
public struct KeySlotDescription: Sendable, Codable, Hashable {
    /// 64 hexadecimal digits.
    public var id: String
    /// `password` or `key`.
    public var kind: String
    public var label: String
    public var created: Timestamp
    /// It opened the repository just now.
    public var isUsed: Bool
    /// It belongs to this repository: somebody made it who had opened it.
    public var isGenuine: Bool
    /// It is not as it was written, and opens nothing.
    public var isDamaged: Bool
}

/// A data key as a listing shows it.
public struct DataKeyDescription: Sendable, Codable, Hashable {
    /// Packs that it sealed carry this number.
    public var epoch: UInt32
    /// When it was made; nil for the first one, which is as old as the repository.
    public var created: Timestamp?
}

extension BackupRepository {
    /// All key slots, oldest first.
    public func keySlots() async throws -> [KeySlotDescription] {
        let ring = try await KeyRing.read(store)
        var slots = ring.slots.map { slot in
            KeySlotDescription(
                id: slot.id, kind: slot.kind, label: slot.label, created: slot.created,
                isUsed: slot.id == self.slot, isGenuine: slot.isGenuine(secrets), isDamaged: false)
        }
        for key in ring.damaged.keys where !key.path.hasPrefix(KeyEpoch.prefix) {
            slots.append(
                KeySlotDescription(
                    id: key.name, kind: "unknown", label: "", created: Timestamp(nanoseconds: 0),
                    isUsed: false, isGenuine: false, isDamaged: true))
        }
        return slots.sorted { ($0.created, $0.id) < ($1.created, $1.id) }
    }

    /// All data keys, the one for new packs last.
    public func dataKeys() async throws -> [DataKeyDescription] {
        let made = try await KeyRing.read(store).epochs
        return secrets.dataKeys.keys.sorted().map { epoch in
            DataKeyDescription(
                epoch: epoch, created: made.first { $0.epoch == epoch }?.created)
        }
    }

    /// Adds a way in. When this returns, `credential` has opened the new slot.
    ///
    /// - Parameter scryptCost: scrypt's N; tests use a small one.
    /// - Returns: The new slot's id.
    public func addKeySlot(
        _ credential: Credential, label: String, scryptCost: Int = KeySlot.standardCost
    ) async throws -> String {
        let now = try await store.now()
        let slot = try await BlockingPool.shared.run { [secrets] in
            try KeySlot.wrap(
                secrets, under: credential, label: label, created: now, cost: scryptCost)
        }
        try await store.put(slot.objectKey, [try Self.encode(slot)])
        let ring = try await KeyRing.read(store)
        guard let stored = ring.slots.first(where: { $0.id == slot.id }),
            try await BlockingPool.shared.run({ try stored.unwrap(with: credential) }) != nil
        else {
            try? await store.delete(slot.objectKey)
            throw Failure(
                .failed, "\(store.place) does not give back the key slot that was just written",
                hint: "nothing was changed; check the disk", side: .repository)
        }
        // A data key that somebody made meanwhile is not in the slot.
        guard ring.epochs.allSatisfy({ secrets.dataKeys[$0.epoch] != nil }) else {
            try await store.delete(slot.objectKey)
            throw Failure(
                .busy, "the data key was renewed at the same time", hint: "run it again",
                side: .repository, isTransient: true)
        }
        return slot.id
    }

    /// Takes a way in away.
    ///
    /// Whoever had its password and a copy of it still has the secrets that were in it.
    ///
    /// - Parameter force: Also the slot that opened the repository, as long as there is another.
    /// - Throws: `Failure` with code `usage` for the last slot, which always stays.
    public func removeKeySlot(_ id: String, force: Bool = false) async throws {
        let ring = try await KeyRing.read(store)
        let others = ring.slots.filter { $0.id != id && $0.isGenuine(secrets) }
        guard !others.isEmpty else {
            throw Failure(
                .usage,
                "key slot \(id.prefix(8)) is the last one: without it nothing could be"
                    + " restored", hint: "add another one first: dr key add")
        }
        guard force || id != slot else {
            throw Failure(
                .usage, "key slot \(id.prefix(8)) is the one that opened the repository",
                hint: "open it with another one to see that that works, or use --force")
        }
        guard let key = ObjectKey(validating: "\(KeySlot.prefix)/\(id)") else { return }
        try await store.delete(key)
    }

    /// Makes a new data key, sealed to every key slot that there is; new packs use it from the next
    /// time on that the repository is opened.
    ///
    /// One object, written once: it is there for all slots or for none.
    ///
    /// - Returns: The new data key's number.
    /// - Throws: `Failure` when a slot is damaged, or so old that nothing can be sealed to it: it
    ///   must be removed first, or its owner would be locked out. What others than those who had
    ///   opened the repository put there is passed over.
    public func renewDataKey() async throws -> UInt32 {
        let ring = try await KeyRing.read(store)
        let bad = ring.slots.filter { $0.publicKey == nil }.map { $0.objectKey }
        if let key = (bad + ring.damaged.keys).min() {
            throw Failure(
                .failed, "\(key) is damaged, and could not open the new data key",
                hint: "remove it with dr key remove, then run this again", side: .repository)
        }
        let now = try await store.now()
        let newest = max(secrets.currentEpoch, ring.epochs.last?.epoch ?? 0)
        let number = KeyEpoch.number(after: newest)
        let dataKey = SymmetricKey(size: .bits256)
        let epoch = try KeyEpoch.make(
            dataKey, epoch: number, for: ring.slots.filter { $0.isGenuine(secrets) }, created: now,
            secrets: secrets)
        try await store.put(epoch.objectKey, [try Self.encode(epoch)])
        let stored = try await store.get(epoch.objectKey, .whole)
        let isSealed = ring.slots.contains { $0.id == slot && $0.isGenuine(secrets) }
        guard stored == (try Self.encode(epoch)),
            try !isSealed || epoch.dataKey(for: slot, exchange, secrets) == dataKey
        else {
            try? await store.delete(epoch.objectKey)
            throw Failure(
                .failed, "\(store.place) does not give back the data key that was just written",
                hint: "nothing was changed; check the disk", side: .repository)
        }
        return number
    }
}
