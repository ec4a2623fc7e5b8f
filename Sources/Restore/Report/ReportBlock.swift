/// One block of a document, for every form that it is shown in.
struct ReportBlock: Sendable {
    var title: String
    var head: [String]
    var rows: [[String]]
    /// Lines below the table.
    var items: [String]

    init(_ title: String, head: [String] = [], rows: [[String]] = [], items: [String] = []) {
        self.title = title
        self.head = head
        self.rows = rows
        self.items = items
    }

    private var isEmpty: Bool { rows.isEmpty && items.isEmpty }

    /// With its heading. Names from outside cannot become markup.
    var markdown: String {
        var text = "\n## \(title)\n\n"
        if let first = rows.first {
            let head = head.isEmpty ? first.map { _ in "" } : head
            text += Self.line(head) + Self.line(first.map { _ in "---" }, isSafe: true)
            for row in rows { text += Self.line(row) }
            if !items.isEmpty { text += "\n" }
        }
        for item in items { text += "- \(markdownSafe(item))\n" }
        return isEmpty ? text + "None.\n" : text
    }

    private static func line(_ cells: [String], isSafe: Bool = false) -> String {
        "| " + cells.map { isSafe ? $0 : markdownSafe($0) }.joined(separator: " | ") + " |\n"
    }

    /// With its heading. Names from outside cannot become markup.
    ///
    /// - Parameter figure: Markup that stands between heading and table.
    func html(figure: String = "") -> String {
        var text = "<h2>\(escaped(title))</h2>\n\(figure)\(HTMLPage.table(rows, head: head))"
        if !items.isEmpty {
            text += "<ul>\n" + items.map { "<li>\(escaped($0))</li>\n" }.joined() + "</ul>\n"
        }
        return isEmpty ? text + "<p class=\"dim\">None.</p>\n" : text
    }
}
