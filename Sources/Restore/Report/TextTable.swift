/// Lines of cells, aligned in columns.
struct TextTable {
    private var rows: [[String]] = []
    private let indent: String
    private let rightAligned: Set<Int>

    /// - Parameter rightAligned: Columns, counted from 0, whose cells end at one place.
    init(indent: String = "  ", rightAligned: Set<Int> = []) {
        self.indent = indent
        self.rightAligned = rightAligned
    }

    mutating func add(_ cells: String...) { rows.append(cells) }

    /// Each line with its end; nothing for an empty table.
    var text: String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        var text = ""
        for row in rows {
            var line = indent
            for (column, cell) in row.enumerated() {
                let fill = String(repeating: " ", count: widths[column] - cell.count)
                line += rightAligned.contains(column) ? fill + cell : cell + fill
                line += "  "
            }
            while line.last == " " { line.removeLast() }
            text += line + "\n"
        }
        return text
    }
}

/// `1 step`, `2 steps`.
func counted(_ count: Int, _ noun: String) -> String {
    "\(count) \(noun)\(count == 1 ? "" : "s")"
}
