public import Model

/// How many bytes two contents do not share, counted by chunks, without reading data.
public struct ContentDifference: Sendable, Hashable {
    /// Bytes that only the new content has.
    public var added: UInt64 = 0
    /// Bytes that only the old content has.
    public var removed: UInt64 = 0

    public init() {}

    public static func += (left: inout Self, right: Self) {
        left.added &+= right.added
        left.removed &+= right.removed
    }
}

extension ChunkReader {
    /// References kept in memory at once while two contents are compared: about 64 MiB.
    private static let comparedReferences = 1 << 20

    /// Compares two contents; what they share is left out level by level.
    ///
    /// Holes count for nothing. Contents that differ in more than about a million chunks count as
    /// wholly different.
    public func difference(from old: ContentReference, to new: ContentReference) throws
        -> ContentDifference
    {
        var difference = ContentDifference()
        if old == new { return difference }
        var (left, right) = (old.references, new.references)
        var (leftDepth, rightDepth) = (old.depth, new.depth)
        while leftDepth > 0 || rightDepth > 0 {
            if leftDepth == rightDepth { (left, right) = Self.withoutCommon(left, right) }
            guard
                let lower = try expanded(left, leftDepth, if: leftDepth >= rightDepth),
                let upper = try expanded(right, rightDepth, if: rightDepth >= leftDepth)
            else {
                return ContentDifference(added: new.length, removed: old.length)
            }
            let (before, after) = (leftDepth, rightDepth)
            if before >= after, before > 0 { leftDepth -= 1 }
            if after >= before, after > 0 { rightDepth -= 1 }
            (left, right) = (lower, upper)
        }
        (left, right) = Self.withoutCommon(left, right)
        for reference in right where !reference.isZeros { difference.added &+= reference.length }
        for reference in left where !reference.isZeros { difference.removed &+= reference.length }
        return difference
    }

    /// One level further down; nil when that would be too much to keep.
    private func expanded(_ references: [ChunkReference], _ depth: UInt8, if isDue: Bool) throws
        -> [ChunkReference]?
    {
        guard isDue, depth > 0 else { return references }
        var below: [ChunkReference] = []
        for reference in references {
            below += try children(reference, depth)
            if below.count > Self.comparedReferences { return nil }
        }
        return below
    }

    /// What each has more often than the other, a stored chunk once.
    private static func withoutCommon(_ left: [ChunkReference], _ right: [ChunkReference])
        -> ([ChunkReference], [ChunkReference])
    {
        let (old, new) = (Set(left), Set(right))
        var seen: Set<ChunkReference> = []
        let onlyLeft = left.filter { !new.contains($0) && seen.insert($0).inserted }
        seen = []
        return (onlyLeft, right.filter { !old.contains($0) && seen.insert($0).inserted })
    }
}

extension ContentDifference {
    init(added: UInt64, removed: UInt64) {
        self.added = added
        self.removed = removed
    }
}
