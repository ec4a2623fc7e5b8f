import Model

/// What lies at one path of a tree, as a tree of its own: the path becomes the root.
///
/// A hard link whose first name lies outside becomes the first name of its file itself.
struct Subtree {
    let root: [UInt8]
    /// Names within, by the first name outside.
    private var firstNames: [[UInt8]: [UInt8]] = [:]
    private static let slash = UInt8(ascii: "/")

    /// - Parameter root: Empty for the whole tree.
    init(root: [UInt8]) { self.root = root }

    /// Whether nothing of it comes behind `path` in tree order.
    func isPast(_ path: [UInt8]) -> Bool {
        !contains(path) && TreeOrder.precedes(root, path)
    }

    /// The entry as the subtree has it; nil when it lies outside.
    mutating func entry(_ entry: TreeEntry) -> TreeEntry? {
        if root.isEmpty { return entry }
        guard contains(entry.path) else { return nil }
        var inner = entry
        inner.path = beneath(entry.path)
        if let first = entry.hardLink {
            if contains(first) {
                inner.hardLink = beneath(first)
            } else {
                inner.hardLink = firstNames[first]
                if inner.hardLink == nil { firstNames[first] = inner.path }
            }
        }
        return inner
    }

    /// Whether a path of the whole tree lies in it.
    func contains(_ path: [UInt8]) -> Bool {
        guard path.starts(with: root) else { return false }
        return path.count == root.count || root.isEmpty || path[root.count] == Self.slash
    }

    private func beneath(_ path: [UInt8]) -> [UInt8] {
        root.isEmpty ? path : Array(path.dropFirst(root.count + 1))
    }
}
