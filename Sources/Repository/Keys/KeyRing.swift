import Crypto
import FoundationEssentials
import Model

/// Everything below `keys/`: who may open a repository, and the data keys made since.
struct KeyRing: Sendable {
    /// Those that are as they were written; random keys, which need no stretching, first.
    var slots: [KeySlot] = []
    /// Those that are not, and may open all the same: their label may be all that has changed.
    var doubtful: [KeySlot] = []
    /// Data keys that can be read, oldest first.
    var epochs: [KeyEpoch] = []
    /// Objects that are not as they were written, and why.
    var damaged: [ObjectKey: String] = [:]

    static func read(_ store: any ObjectStore) async throws -> KeyRing {
        var ring = KeyRing()
        for object in try await store.list(KeySlot.prefix).sorted(by: { $0.key < $1.key }) {
            let isEpoch = object.key.path.hasPrefix(KeyEpoch.prefix + "/")
            guard object.size <= UInt64(KeySlot.maximumLength) else {
                ring.damaged[object.key] = "it is too large"
                continue
            }
            let bytes: Data
            do {
                bytes = try await store.get(object.key, .whole)
            } catch is ObjectMissing {
                continue
            }
            if isEpoch { ring.addEpoch(bytes, object.key) } else { ring.addSlot(bytes, object.key) }
        }
        ring.slots.sort { ($0.kind, $0.id) < ($1.kind, $1.id) }
        ring.doubtful.sort { ($0.kind, $0.id) < ($1.kind, $1.id) }
        ring.epochs.sort { $0.epoch < $1.epoch }
        return ring
    }

    private mutating func addSlot(_ bytes: Data, _ key: ObjectKey) {
        guard Identifier<KeySlot>(key.name) != nil else { return }
        guard let slot = try? JSONDecoder().decode(KeySlot.self, from: bytes) else {
            damaged[key] = "it is no key slot"
            return
        }
        // A newer version of dr may know more kinds than this one.
        guard slot.version == 1 else { return }
        guard slot.isIntact, ObjectKey(validating: "\(KeySlot.prefix)/\(slot.id)") == key else {
            damaged[key] = "it is not as it was written"
            if ObjectKey(validating: "\(KeySlot.prefix)/\(slot.id)") != nil {
                doubtful.append(slot)
            }
            return
        }
        slots.append(slot)
    }

    private mutating func addEpoch(_ bytes: Data, _ key: ObjectKey) {
        guard let epoch = try? JSONDecoder().decode(KeyEpoch.self, from: bytes) else {
            damaged[key] = "it is no data key"
            return
        }
        guard epoch.version == 1 else { return }
        if !epoch.isIntact || epoch.objectKey != key {
            damaged[key] = "it is not as it was written"
        }
        epochs.append(epoch)
    }

    /// Adds the data keys that were made after `slot`.
    ///
    /// One that is damaged is left out: what it does not seal can still be read, and a check names
    /// it.
    ///
    /// - Throws: `Failure` when one of them was not sealed to the slot.
    func addDataKeys(to opened: inout KeySlot.Opened, slot: KeySlot) throws {
        for epoch in epochs where opened.secrets.dataKeys[epoch.epoch] == nil {
            let key: SymmetricKey?
            do {
                key = try epoch.dataKey(for: slot.id, opened.exchange, opened.secrets)
            } catch is FormatError {
                continue
            }
            guard let key else {
                if !epoch.isIntact { continue }
                throw Failure(
                    .wrongKey,
                    "key slot \(slot.id.prefix(8)) was added while the data key was being renewed,"
                        + " and does not open the new one",
                    hint: "open the repository in another way, remove this slot and add it again",
                    side: .repository)
            }
            opened.secrets.add(dataKey: key, epoch: epoch.epoch)
        }
    }

    /// Why nothing opened.
    func refusal(of credential: Credential, at place: String) -> Failure {
        if let (key, reason) = damaged.min(by: { $0.key < $1.key }) {
            return Failure(
                .damaged, "\(key) at \(place) is damaged: \(reason); no other key slot opens",
                hint: "put it back from a copy, or check the password", side: .repository)
        }
        switch credential {
        case .password:
            return Failure(
                .wrongKey, "the password does not open the repository at \(place)",
                hint: "check DR_PASSWORD, DR_PASSWORD_FILE or DR_PASSWORD_COMMAND",
                side: .repository)
        case .key:
            return Failure(
                .wrongKey, "the key does not open the repository at \(place)",
                hint: "check DR_KEY_FILE", side: .repository)
        }
    }
}
