import Engine
public import Model
public import Repository

/// Something found in a tree, and how much lies at and under it.
public struct FoundSubtree: Sendable, Hashable {
    /// From the tree's root; empty for the root itself.
    public var path: [UInt8]
    public var entry: TreeEntry
    public var entries: UInt64
    public var files: UInt64
    /// Of all files at and under it, holes counted.
    public var bytes: ByteCount
}

/// Looks for paths in the trees of snapshots; reads entry lists and no data.
public struct TreeLookup: Sendable {
    private let repository: BackupRepository
    private let index: any ChunkIndex

    public init(repository: BackupRepository, index: any ChunkIndex) {
        self.repository = repository
        self.index = index
    }

    /// The first of `candidates` that the tree `part` has; nil when it has none of them.
    public func find(_ candidates: [[UInt8]], in part: SnapshotPart) async throws -> FoundSubtree? {
        try await BlockingPool.shared.run { try search(candidates, in: part) }
    }

    private func search(_ candidates: [[UInt8]], in part: SnapshotPart) throws -> FoundSubtree? {
        try damageAsFailure {
            let reader = repository.makeReader(index: index, cache: ByteCount(8 << 20))
            let cursor = try TreeCursor(part.content, reader: reader)
            var wanted = candidates.map { (subtree: Subtree(root: $0), found: FoundSubtree?.none) }
            while let entry = try cursor.next() {
                var isOver = true
                for number in wanted.indices {
                    if let inner = wanted[number].subtree.entry(entry) {
                        Self.count(entry, inner, in: &wanted[number].found)
                        isOver = false
                    } else if !wanted[number].subtree.isPast(entry.path) {
                        isOver = false
                    }
                }
                if isOver { break }
            }
            return wanted.compactMap(\.found).first
        }
    }

    private static func count(
        _ entry: TreeEntry, _ inner: TreeEntry, in found: inout FoundSubtree?
    ) {
        if inner.path.isEmpty {
            found = FoundSubtree(
                path: entry.path, entry: entry, entries: 0, files: 0, bytes: ByteCount(0))
        }
        found?.entries += 1
        guard entry.type == .file else { return }
        found?.files += 1
        found?.bytes += ByteCount(entry.size)
    }
}
