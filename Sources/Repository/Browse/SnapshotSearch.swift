public import Model

/// Something that was looked for, over all the snapshots that have it.
public struct SearchMatch: Sendable, Hashable {
    /// The same thing in one or more snapshots.
    public struct Version: Sendable, Hashable {
        public var entry: TreeEntry
        /// Snapshots that hold this version, as places in the list that was searched, ascending.
        public var snapshots: [Int]
    }

    public var workload: WorkloadID
    public var part: String
    /// As people address it.
    public var path: [UInt8]
    /// What is no tree's entry, but a part of its own: a dump, a document.
    public var isPart: Bool
    /// That with the newest snapshot first.
    public var versions: [Version]

    /// Snapshots that have it in any version.
    public var snapshotCount: Int { versions.reduce(0) { $0 + $1.snapshots.count } }
}

/// Looks through snapshots for names.
///
/// All snapshots of one workload are walked together: see ``TreeMerge``.
public struct SnapshotSearch {
    /// A tree that could not be read to its end.
    public struct Damage: Sendable {
        public var snapshot: SnapshotRecord
        public var part: String
        public var error: any Error
    }

    private let reader: ChunkReader
    /// Asked with an address and its last component.
    private let isWanted: (_ address: [UInt8], _ name: ArraySlice<UInt8>) throws -> Bool

    public init(
        reader: ChunkReader,
        isWanted: @escaping (_ address: [UInt8], _ name: ArraySlice<UInt8>) throws -> Bool
    ) {
        self.reader = reader
        self.isWanted = isWanted
    }

    /// Looks through `snapshots` and reports matches as they come: by workload, then by address of
    /// the part, then in tree order.
    ///
    /// - Parameter snapshots: Oldest first.
    /// - Returns: What could not be read.
    public func search(
        _ snapshots: [SnapshotRecord], report: (SearchMatch) throws -> Void
    ) throws -> [Damage] {
        struct Place: Hashable {
            var workload: WorkloadID
            var address: String
            var isTree: Bool
        }
        var found: [Place: [(snapshot: Int, part: SnapshotPart)]] = [:]
        for (number, snapshot) in snapshots.enumerated() {
            for part in snapshot.parts {
                let place = Place(
                    workload: snapshot.workload, address: part.address,
                    isTree: part.kind == .tree)
                found[place, default: []].append((number, part))
            }
        }
        var damage: [Damage] = []
        let places = found.keys.sorted {
            ($0.workload, $0.address) < ($1.workload, $1.address)
        }
        for place in places {
            let parts = found[place] ?? []
            if place.isTree {
                for (index, error) in try searchTrees(place.workload, parts, report) {
                    damage.append(
                        Damage(
                            snapshot: snapshots[parts[index].snapshot],
                            part: parts[index].part.name, error: error))
                }
            } else {
                try searchPart(place.workload, parts, report)
            }
        }
        return damage
    }

    private func searchTrees(
        _ workload: WorkloadID, _ parts: [(snapshot: Int, part: SnapshotPart)],
        _ report: (SearchMatch) throws -> Void
    ) throws -> [(Int, any Error)] {
        guard let last = parts.last?.part else { return [] }
        let merge = TreeMerge(parts.map(\.part.content), reader: reader)
        let slash = UInt8(ascii: "/")
        while let step = merge.next() {
            let address = last.address(of: step.path)
            let start = address.lastIndex(of: slash).map { $0 + 1 } ?? 0
            guard try isWanted(address, address[start...]) else { continue }
            let versions = step.groups.map { group in
                (group.entry, group.trees.map { parts[$0].snapshot })
            }
            try report(
                SearchMatch(
                    workload: workload, part: last.name, path: address, isPart: false,
                    versions: Self.grouped(versions)))
        }
        return merge.failures.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// A part that is no tree is found by its name.
    private func searchPart(
        _ workload: WorkloadID, _ parts: [(snapshot: Int, part: SnapshotPart)],
        _ report: (SearchMatch) throws -> Void
    ) throws {
        guard let last = parts.last?.part else { return }
        let address = Array(last.name.utf8)
        let start = address.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
        guard try isWanted(address, address[start...]) else { return }
        let versions = parts.map { snapshot, part in
            var entry = TreeEntry(path: [], type: .file)
            entry.size = part.content.length
            entry.content = part.content
            return (entry, [snapshot])
        }
        try report(
            SearchMatch(
                workload: workload, part: last.name, path: address, isPart: true,
                versions: Self.grouped(versions)))
    }

    /// What makes two entries the same version: what they are, and when they were changed.
    private struct Key: Hashable {
        var type: EntryType
        var modified: Timestamp
        var content: ContentReference
        var linkTarget: [UInt8]
        var major: UInt32
        var minor: UInt32

        init(_ entry: TreeEntry) {
            type = entry.type
            // A directory's time says nothing of what it is.
            modified =
                entry.type == .directory ? Timestamp(nanoseconds: 0) : entry.modified
            content = entry.content
            linkTarget = entry.linkTarget
            (major, minor) = entry.deviceNumber
        }
    }

    private static func grouped(_ entries: [(TreeEntry, [Int])]) -> [SearchMatch.Version] {
        var versions: [SearchMatch.Version] = []
        var places: [Key: Int] = [:]
        for (entry, snapshots) in entries {
            if let place = places[Key(entry)] {
                // Shown as the newest of them has it.
                if (snapshots.max() ?? 0) > (versions[place].snapshots.max() ?? 0) {
                    versions[place].entry = entry
                }
                versions[place].snapshots += snapshots
            } else {
                places[Key(entry)] = versions.count
                versions.append(SearchMatch.Version(entry: entry, snapshots: snapshots))
            }
        }
        for index in versions.indices { versions[index].snapshots.sort() }
        return versions.sorted { ($0.snapshots.last ?? 0) > ($1.snapshots.last ?? 0) }
    }
}
