import Model

/// Shows the entries of a tree as they come, so that a tree of any size can be listed.
struct TreeListing {
    private static let batchSize = 500

    private let path: [UInt8]
    /// What the tree's root is called when it is no directory.
    private let rootName: [UInt8]
    private let isRecursive: Bool
    private let output: Output
    private var batch: [TreeEntry] = []
    /// Whether the tree has the path at all.
    private(set) var foundPath: Bool

    init(path: [UInt8], rootName: [UInt8], isRecursive: Bool, output: Output) {
        self.path = path
        self.rootName = rootName
        self.isRecursive = isRecursive
        self.output = output
        foundPath = path.isEmpty
    }

    /// Shows the entry if it lies where one looks.
    mutating func show(_ entry: TreeEntry) {
        guard entry.path != path else {
            foundPath = true
            // A path that is a file is shown itself.
            if entry.type != .directory {
                var shown = entry
                if entry.path.isEmpty { shown.path = rootName }
                add(shown)
            }
            return
        }
        let slash = UInt8(ascii: "/")
        let prefix = path.isEmpty ? [] : path + [slash]
        guard entry.path.starts(with: prefix) else { return }
        foundPath = true
        if isRecursive || !entry.path.dropFirst(prefix.count).contains(slash) { add(entry) }
    }

    /// Shows what is still waiting.
    mutating func finish() {
        if !batch.isEmpty { output.present(EntryList(entries: batch)) }
        batch = []
    }

    private mutating func add(_ entry: TreeEntry) {
        batch.append(entry)
        if batch.count >= Self.batchSize { finish() }
    }
}

/// Some entries of a tree; in JSON, an object a line.
private struct EntryList: Presentable {
    var entries: [TreeEntry]

    var json: JSONValue { .lines(entries.map(document)) }

    private func document(_ entry: TreeEntry) -> JSONValue {
        let members: KeyValuePairs<String, JSONValue?> = [
            "type": .string("\(entry.type)"), "mode": .string(entry.octalMode),
            "uid": .integer(Int64(entry.userID)), "gid": .integer(Int64(entry.groupID)),
            "size": .integer(Int64(clamping: entry.size)),
            "modified": .string("\(entry.modified)"),
            "target": entry.type == .symlink
                ? .string(String(decoding: entry.linkTarget, as: UTF8.self)) : nil,
            "hard_link_to": entry.hardLink.map { .string(String(decoding: $0, as: UTF8.self)) },
        ]
        guard case .object(let rest) = JSONValue.members(members) else { return .null }
        return .object(
            [JSONMember("message_type", "entry")] + pathMembers(entry.path) + rest)
    }

    func write(to page: inout Page) {
        for entry in entries {
            let name = printable(entry.path) + (entry.type == .directory ? "/" : "")
            let arrow =
                entry.type == .symlink ? " -> \(printable(entry.linkTarget))" : ""
            page.line(
                StyledText(entry.columns)
                    + StyledText("  \(entry.modified.shortDescription)  ", .dim)
                    + StyledText(name + arrow))
        }
    }
}
