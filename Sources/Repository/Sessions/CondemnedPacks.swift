import Engine
import FoundationEssentials
public import Model

/// A list of packs that prune is going to delete: `condemned/<id>`.
///
/// Written before anything is deleted. Whoever writes treats the chunks of these packs as unknown.
struct CondemnedList: Codable, Sendable {
    static let prefix = "condemned"

    var id: Identifier<CondemnedList>
    var packs: [PackID]

    var key: ObjectKey { ObjectKey("\(Self.prefix)/\(id)") }
}

/// All condemned lists, those that cannot be read too.
struct CondemnedLists: Sendable {
    var readable: [CondemnedList] = []
    /// Damaged ones: nobody but who wrote them knows what they condemn.
    var damaged: [(key: ObjectKey, reason: String)] = []

    var packs: Set<PackID> { Set(readable.flatMap(\.packs)) }
    var keys: [ObjectKey] { readable.map(\.key) + damaged.map(\.key) }
}

extension BackupRepository {
    func condemnedLists() async throws -> CondemnedLists {
        var lists = CondemnedLists()
        let objects = try await store.list(CondemnedList.prefix)
        for object in objects.sorted(by: { $0.stored < $1.stored }) {
            do {
                let plain = try SealedRecord.open(
                    try await store.get(object.key, .whole), as: object.key, with: secrets)
                lists.readable.append(try StableJSON.decode(CondemnedList.self, from: plain))
            } catch is ObjectMissing {
                continue
            } catch let error as FormatError {
                lists.damaged.append((object.key, error.reason))
            } catch is DecodingError {
                lists.damaged.append((object.key, "its content is not a condemned list"))
            }
        }
        return lists
    }

    /// Packs that are on some condemned list.
    ///
    /// A list that cannot be read condemns nothing once whoever wrote it has ended: until then it is
    /// an error.
    ///
    /// - Parameter own: The session of whoever asks.
    public func condemnedPacks(besides own: SessionLease? = nil) async throws -> Set<PackID> {
        let lists = try await condemnedLists()
        if let (key, reason) = lists.damaged.first, try await liveSessions(besides: own) > 0 {
            throw Failure(
                .damaged, "\(key) is damaged (\(reason)), and somebody may be deleting by it",
                hint: "run it again when no other run writes to \(store.place)",
                side: .repository, isTransient: true)
        }
        return lists.packs
    }

    func put(_ list: CondemnedList) async throws {
        let (_, isKept) = try await offerRecord(
            try StableJSON.encode(list), as: list.key, usingReserve: true)
        guard isKept else {
            throw Failure(
                .failed, "\(store.place) does not give back what was just written: \(list.key)",
                hint:
                    "nothing was deleted; another prune may have taken it away: run dr prune again",
                side: .repository, isTransient: true)
        }
    }
}

/// An index that does not know what is about to be deleted.
public struct UncondemnedIndex: ChunkIndex {
    private let base: any ChunkIndex
    private let condemned: Set<PackID>

    public init(_ base: any ChunkIndex, without condemned: Set<PackID>) {
        self.base = base
        self.condemned = condemned
    }

    /// Whether nothing is about to be deleted.
    var excludesNothing: Bool { condemned.isEmpty }

    public func contains(_ ids: [ChunkID]) throws -> [Bool] {
        if condemned.isEmpty { return try base.contains(ids) }
        return try base.locate(ids).map { $0.map { !condemned.contains($0.pack) } ?? false }
    }

    public func locate(_ ids: [ChunkID]) throws -> [ChunkLocation?] { try base.locate(ids) }
    public func record(_ pack: PackContents) throws { try base.record(pack) }
    public func packs() throws -> [PackID: UInt64] { try base.packs() }
    public func remove(_ packs: Set<PackID>) throws { try base.remove(packs) }
    public func generation() throws -> UInt64 { try base.generation() }
    public func usage(_ isLive: (UInt64) -> Bool) throws -> [PackID: PackUsage] {
        try base.usage(isLive)
    }
}
