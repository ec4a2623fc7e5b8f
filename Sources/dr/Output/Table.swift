/// Rows under headings, with columns as wide as what they hold.
struct Table: Sendable {
    struct Column: Sendable {
        var title: String
        var isRight = false
        /// The column that gives way when a terminal is too narrow; the last one without any.
        var isFlexible = false

        static func left(_ title: String) -> Column { Column(title: title) }
        static func right(_ title: String) -> Column { Column(title: title, isRight: true) }
        static func flexible(_ title: String) -> Column { Column(title: title, isFlexible: true) }
    }

    var columns: [Column]
    private(set) var rows: [[StyledText]] = []

    init(_ columns: Column...) { self.columns = columns }

    /// Adds a row; cells that are missing at its end are empty.
    mutating func add(_ cells: StyledText...) { rows.append(cells) }

    /// Adds a row that was put together elsewhere.
    mutating func add(row cells: [StyledText]) { rows.append(cells) }

    /// The heading and the rows, at most `width` columns wide; nil for no limit.
    func lines(width: Int?) -> [StyledText] {
        let header = columns.map { StyledText($0.title, .dim) }
        let all = [header] + rows
        var widths = columns.indices.map { column in
            all.map { column < $0.count ? $0[column].width : 0 }.max() ?? 0
        }
        if let width { shrink(&widths, to: width) }
        return all.map { line($0, widths: widths) }
    }

    private func shrink(_ widths: inout [Int], to width: Int) {
        let excess = widths.reduce(0, +) + 2 * (widths.count - 1) - width
        guard excess > 0, let last = columns.indices.last else { return }
        let flexible = columns.lastIndex(where: \.isFlexible) ?? last
        widths[flexible] = max(min(8, widths[flexible]), widths[flexible] - excess)
    }

    private func line(_ cells: [StyledText], widths: [Int]) -> StyledText {
        var line = StyledText("")
        var pending = 0
        for (index, column) in columns.enumerated() {
            let cell = index < cells.count ? cells[index].truncated(to: widths[index]) : ""
            let padding = widths[index] - cell.width
            let before = pending + (column.isRight ? padding : 0)
            if cell.width > 0 {
                line = line + StyledText(String(repeating: " ", count: before)) + cell
                pending = column.isRight ? 2 : padding + 2
            } else {
                pending += padding + 2
            }
        }
        return line
    }
}
