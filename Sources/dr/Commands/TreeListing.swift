import Model

/// Shows the entries of a tree as they come, so that a tree of any size can be listed.
struct TreeListing {
    private static let batchSize = 500

    private let path: [UInt8]
    private let isRecursive: Bool
    private let output: Output
    private var batch: [TreeEntry] = []
    /// Whether the tree has the path at all.
    private(set) var foundPath: Bool

    init(path: [UInt8], isRecursive: Bool, output: Output) {
        self.path = path
        self.isRecursive = isRecursive
        self.output = output
        foundPath = path.isEmpty
    }

    /// Shows the entry if it lies where one looks.
    mutating func show(_ entry: TreeEntry) {
        guard entry.path != path else {
            foundPath = true
            // A path that is a file is shown itself.
            if entry.type != .directory { add(entry) }
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
        let isText = String(validating: entry.path, as: UTF8.self) != nil
        return .members([
            "message_type": "entry",
            "path": .string(String(decoding: entry.path, as: UTF8.self)),
            // The bytes of a name that is no text.
            "path_hex": isText ? nil : .string(Hexadecimal.encode(entry.path)),
            "type": .string("\(entry.type)"), "mode": .string(mode(entry)),
            "uid": .integer(Int64(entry.userID)), "gid": .integer(Int64(entry.groupID)),
            "size": .integer(Int64(clamping: entry.size)),
            "modified": .string("\(entry.modified)"),
            "target": entry.type == .symlink
                ? .string(String(decoding: entry.linkTarget, as: UTF8.self)) : nil,
            "hard_link_to": entry.hardLink.map { .string(String(decoding: $0, as: UTF8.self)) },
        ])
    }

    /// As `chmod` takes it, for example `0755`.
    private func mode(_ entry: TreeEntry) -> String {
        let digits = String(entry.mode & 0o7777, radix: 8)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    func write(to page: inout Page) {
        for entry in entries {
            let size = String(entry.size)
            let owner = "\(entry.userID):\(entry.groupID)"
            let name = printable(entry.path) + (entry.type == .directory ? "/" : "")
            let arrow =
                entry.type == .symlink ? " -> \(printable(entry.linkTarget))" : ""
            page.line(
                StyledText(
                    "\(letters(entry))  \(padded(owner, 11))  \(padded(size, 12, right: true))")
                    + StyledText("  \(entry.modified.shortDescription)  ", .dim)
                    + StyledText(name + arrow))
        }
    }

    private func padded(_ text: String, _ width: Int, right: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - text.utf8.count))
        return right ? space + text : text + space
    }

    /// As `ls -l` shows it.
    private func letters(_ entry: TreeEntry) -> String {
        var letters = Array("rwxrwxrwx")
        for bit in 0..<9 where entry.mode & (0o400 >> UInt32(bit)) == 0 { letters[bit] = "-" }
        for (bit, place, letter) in [(0o4000, 2, "s"), (0o2000, 5, "s"), (0o1000, 8, "t")]
        where entry.mode & UInt32(bit) != 0 {
            letters[place] = Character(letters[place] == "x" ? letter : letter.uppercased())
        }
        return entry.type.letter + String(letters)
    }
}
