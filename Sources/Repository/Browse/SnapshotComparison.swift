public import Model

/// One difference between two snapshots.
public struct SnapshotChange: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case added, removed
        /// Other bytes, another link target or device number.
        case content
        /// The same bytes, but another mode, owner, time, attribute or set of names.
        case metadata
        /// For example a file where a directory was.
        case type

        /// As lists show it.
        public var letter: String {
            switch self {
            case .added: "+"
            case .removed: "-"
            case .content: "M"
            case .metadata: "U"
            case .type: "T"
            }
        }
    }

    public var kind: Kind
    /// The part of the newer snapshot, or of the older one for what was removed.
    public var part: String
    /// As people address it.
    public var path: [UInt8]
    /// nil for what is no tree's entry.
    public var type: EntryType?
    /// Bytes of what was there and of what is there; nil where there is nothing.
    public var oldSize: UInt64?
    public var newSize: UInt64?
    public var bytes: ContentDifference
}

/// What two snapshots differ in, counted.
public struct SnapshotChangeTotals: Sendable, Hashable {
    /// Changes of each kind.
    public var changes: [SnapshotChange.Kind: UInt64] = [:]
    /// Entries and parts that are the same in both.
    public var unchanged: UInt64 = 0
    public var bytes = ContentDifference()

    public init() {}
    public subscript(_ kind: SnapshotChange.Kind) -> UInt64 { changes[kind] ?? 0 }
}

/// Compares two snapshots by what their entries refer to; no data is read.
///
/// Parts belong together when they have the same address, or else the same name. A directory whose
/// only difference is its time is not told: any change in it sets that.
public struct SnapshotComparison {
    private let reader: ChunkReader
    /// Only what lies at or under it, as people address it; empty for all.
    private let only: [UInt8]
    private let check: () throws -> Void
    private let report: (SnapshotChange) throws -> Void
    private var totals = SnapshotChangeTotals()

    /// - Parameters:
    ///   - only: Restricts the comparison to one address; empty for all.
    ///   - check: Called often; throws when the work should end early.
    ///   - report: Told every change, part by part in the order of their names, paths in tree order.
    public init(
        reader: ChunkReader, only: [UInt8] = [], check: @escaping () throws -> Void = {},
        report: @escaping (SnapshotChange) throws -> Void
    ) {
        self.reader = reader
        self.only = only
        self.check = check
        self.report = report
    }

    /// Compares and returns the totals.
    public mutating func compare(_ old: SnapshotRecord, _ new: SnapshotRecord) throws
        -> SnapshotChangeTotals
    {
        totals = SnapshotChangeTotals()
        var left = old.parts
        var pairs: [(old: SnapshotPart?, new: SnapshotPart?)] = []
        for part in new.parts {
            let index =
                left.firstIndex { $0.kind == part.kind && $0.address == part.address }
                ?? left.firstIndex { $0.name == part.name && $0.address == $0.name }
            pairs.append((index.map { left.remove(at: $0) }, part))
        }
        pairs += left.map { ($0, nil) }
        func address(_ pair: (old: SnapshotPart?, new: SnapshotPart?)) -> String {
            pair.new?.address ?? pair.old?.address ?? ""
        }
        for pair in pairs.sorted(by: { address($0) < address($1) }) where concerns(address(pair)) {
            try compare(pair.old, pair.new)
        }
        return totals
    }

    /// Whether something at or under `only` can lie in the part at `address`.
    private func concerns(_ address: String) -> Bool {
        let root = Array(address.utf8)
        return only.isEmpty || lies(root, under: only) || lies(only, under: root)
    }

    private func lies(_ path: [UInt8], under root: [UInt8]) -> Bool {
        guard path.starts(with: root) else { return false }
        return path.count == root.count || root.isEmpty || root.last == UInt8(ascii: "/")
            || path[root.count] == UInt8(ascii: "/")
    }

    private mutating func compare(_ old: SnapshotPart?, _ new: SnapshotPart?) throws {
        switch (old?.kind, new?.kind) {
        case (.tree, .tree), (.tree, nil), (nil, .tree): try compareTrees(old, new)
        default: try compareWholes(old, new)
        }
    }

    /// Documents, streams and disks; and a part that became one of another kind.
    private mutating func compareWholes(_ old: SnapshotPart?, _ new: SnapshotPart?) throws {
        guard let part = new ?? old else { return }
        guard only.isEmpty || lies(Array(part.address.utf8), under: only) else { return }
        var change = SnapshotChange(
            kind: .content, part: part.name, path: Array(part.address.utf8), type: nil,
            oldSize: old?.bytes.bytes, newSize: new?.bytes.bytes, bytes: ContentDifference())
        if let old, let new {
            if old.kind != new.kind {
                change.kind = .type
            } else if old.content == new.content {
                totals.unchanged += 1
                return
            } else {
                change.bytes = try reader.difference(from: old.content, to: new.content)
            }
        } else {
            change.kind = new == nil ? .removed : .added
            change.bytes = ContentDifference(
                added: new?.content.length ?? 0, removed: old?.content.length ?? 0)
        }
        try tell(change)
    }

    private mutating func compareTrees(_ old: SnapshotPart?, _ new: SnapshotPart?) throws {
        guard let part = new ?? old else { return }
        if let old, let new, old.content == new.content {
            totals.unchanged += new.entries
            return
        }
        let trees = [old, new].compactMap { $0?.content }
        let merge = TreeMerge(trees, reader: reader)
        let newIndex = old == nil ? 0 : 1
        while let step = merge.next() {
            if let failure = merge.failures.values.first { throw failure }
            try check()
            // The whole of both trees is the same here.
            if step.groups.count == 1, step.groups[0].trees.count == 2 {
                totals.unchanged += 1
                continue
            }
            var before: TreeEntry?
            var after: TreeEntry?
            for group in step.groups {
                if old != nil, group.trees.contains(0) { before = group.entry }
                if new != nil, group.trees.contains(newIndex) { after = group.entry }
            }
            try compare(before, after, at: step.path, in: part)
        }
        if let failure = merge.failures.values.first { throw failure }
    }

    private mutating func compare(
        _ old: TreeEntry?, _ new: TreeEntry?, at path: [UInt8], in part: SnapshotPart
    ) throws {
        let address = part.address(of: path)
        guard only.isEmpty || lies(address, under: only), let entry = new ?? old else { return }
        var change = SnapshotChange(
            kind: .content, part: part.name, path: address, type: entry.type,
            oldSize: old.map(\.size), newSize: new.map(\.size), bytes: ContentDifference())
        if let old, let new {
            if old.type != new.type {
                change.kind = .type
                change.bytes = ContentDifference(
                    added: new.content.length, removed: old.content.length)
            } else if old.content != new.content || old.linkTarget != new.linkTarget
                || old.deviceNumber != new.deviceNumber
            {
                change.bytes = try reader.difference(from: old.content, to: new.content)
            } else if Self.metadataDiffers(old, new) {
                change.kind = .metadata
            } else {
                totals.unchanged += 1
                return
            }
        } else {
            change.kind = new == nil ? .removed : .added
            change.bytes = ContentDifference(
                added: new?.content.length ?? 0, removed: old?.content.length ?? 0)
        }
        try tell(change)
    }

    private static func metadataDiffers(_ old: TreeEntry, _ new: TreeEntry) -> Bool {
        old.mode != new.mode || old.userID != new.userID || old.groupID != new.groupID
            || old.attributes != new.attributes || old.hardLink != new.hardLink
            || (old.modified != new.modified && new.type != .directory)
    }

    private mutating func tell(_ change: SnapshotChange) throws {
        totals.changes[change.kind, default: 0] += 1
        totals.bytes += change.bytes
        try report(change)
    }
}
