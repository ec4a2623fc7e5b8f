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

extension BackupRepository {
    func condemnedLists() async throws -> [CondemnedList] {
        var lists: [CondemnedList] = []
        for object in try await store.list(CondemnedList.prefix) {
            do {
                let plain = try SealedRecord.open(
                    try await store.get(object.key, .whole), as: object.key, with: secrets)
                lists.append(try StableJSON.decode(CondemnedList.self, from: plain))
            } catch is ObjectMissing {
                continue
            } catch let error as FormatError {
                throw error.failure
            }
        }
        return lists
    }

    /// Packs that are on some condemned list.
    public func condemnedPacks() async throws -> Set<PackID> {
        Set(try await condemnedLists().flatMap(\.packs))
    }

    func put(_ list: CondemnedList) async throws {
        let sealed = try SealedRecord.seal(
            try StableJSON.encode(list), as: list.key, with: secrets)
        try await store.put(list.key, [sealed])
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

    public func contains(_ ids: [ChunkID]) throws -> [Bool] {
        if condemned.isEmpty { return try base.contains(ids) }
        return try base.locate(ids).map { $0.map { !condemned.contains($0.pack) } ?? false }
    }

    public func locate(_ ids: [ChunkID]) throws -> [ChunkLocation?] { try base.locate(ids) }
    public func record(_ pack: PackContents) throws { try base.record(pack) }
    public func packs() throws -> [PackID: UInt64] { try base.packs() }
    public func remove(_ packs: Set<PackID>) throws { try base.remove(packs) }
    public func usage(_ isLive: (UInt64) -> Bool) throws -> [PackID: PackUsage] {
        try base.usage(isLive)
    }
}
