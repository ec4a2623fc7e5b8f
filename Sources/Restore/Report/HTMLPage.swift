import Model

/// One page that needs nothing else: no script, no network; readable on a phone, in the dark, and
/// printed.
struct HTMLPage {
    var title: String
    /// What stands between the title and the end; markup.
    var body: String

    var text: String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>\(escaped(title))</title>
        <style>
        \(Self.style)
        </style>
        </head>
        <body>
        <h1>\(escaped(title))</h1>
        \(body)
        </body>
        </html>

        """
    }

    /// A table; nothing without rows.
    ///
    /// - Parameter numbers: Columns, counted from 0, that hold figures.
    static func table(_ rows: [[String]], head: [String] = [], numbers: Set<Int> = []) -> String {
        guard !rows.isEmpty else { return "" }
        func line(_ cells: [String], _ tag: String) -> String {
            let inner = cells.enumerated().map { index, cell in
                "<\(tag)\(numbers.contains(index) ? " class=\"n\"" : "")>\(escaped(cell))</\(tag)>"
            }
            return "<tr>\(inner.joined())</tr>\n"
        }
        let top = head.isEmpty ? "" : "<thead>\(line(head, "th"))</thead>\n"
        return
            "<div class=\"wide\"><table>\n\(top)\(rows.map { line($0, "td") }.joined())</table></div>"
    }

    /// A heading and a list under it; nothing without items.
    static func list(_ title: String, _ items: [String]) -> String {
        guard !items.isEmpty else { return "" }
        let lines = items.map { "<li>\(escaped($0))</li>\n" }.joined()
        return "<h2>\(escaped(title))</h2>\n<ol>\n\(lines)</ol>"
    }

    /// Figures that are read first: what it is, the figure, and what it is measured against.
    static func figures(_ figures: [(name: String, value: String, detail: String, kind: String)])
        -> String
    {
        let cards = figures.map { figure in
            "<div class=\"figure \(figure.kind)\"><span>\(escaped(figure.name))</span>"
                + "<b>\(escaped(figure.value))</b><span>\(escaped(figure.detail))</span></div>\n"
        }
        return "<div class=\"figures\">\n\(cards.joined())</div>"
    }

    private static let style = """
        :root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #f2f4f6; \
        --line: #d0d5db; --dim: #5c6670; --good: #1f7a47; --bad: #b3261e; --prepare: #7a8694; \
        --data: #2f6db3; --start: #2a8a57; --check: #b07a12; --manual: #8a4fb0; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --paper: #14171a; \
        --soft: #1f2428; --line: #3a4148; --dim: #9aa4ae; --good: #5cc48a; --bad: #ff8a80; \
        --prepare: #8b97a3; --data: #6aa5e8; --start: #5cc48a; --check: #e0b04a; \
        --manual: #c795e8; } }
        * { box-sizing: border-box; }
        body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); \
        background: var(--paper); max-width: 72rem; margin: 1rem auto; padding: 0 1rem 2rem; }
        h1 { font-size: 1.4rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
        p { margin: .3rem 0; } code { font: 13px ui-monospace, monospace; }
        .good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; }
        .dim { color: var(--dim); }
        .next { background: var(--soft); border-left: 4px solid var(--bad); padding: .5rem .8rem; }
        .figures { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0; }
        .figure { background: var(--soft); border-radius: .4rem; padding: .5rem .8rem; \
        flex: 1 1 10rem; color: var(--ink); font-weight: 400; border-top: 3px solid var(--line); }
        .figure span { display: block; font-size: 13px; color: var(--dim); }
        .figure b { font-size: 1.25rem; font-variant-numeric: tabular-nums; }
        .figure.good { border-color: var(--good); } .figure.bad { border-color: var(--bad); }
        .figure.bad b { color: var(--bad); }
        .wide { overflow-x: auto; margin: .4rem 0; } table { border-collapse: collapse; }
        td, th { text-align: left; padding: .2rem .9rem .2rem 0; \
        border-bottom: 1px solid var(--line); white-space: nowrap; }
        th { font-weight: 600; color: var(--dim); }
        td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
        ol { padding-left: 1.6rem; } li { overflow-wrap: anywhere; }
        .row { display: grid; grid-template-columns: 20rem 1fr; align-items: center; \
        min-height: 1.5rem; } .row:nth-child(even) { background: var(--soft); }
        .row .label { padding: 0 .5rem; overflow: hidden; text-overflow: ellipsis; \
        white-space: nowrap; font-size: 13px; } .row.critical .label { font-weight: 700; }
        .track { position: relative; height: 1.5rem; }
        .track > * { position: absolute; top: 0; }
        .bar { height: .9rem; margin-top: .3rem; border-radius: 2px; min-width: 2px; }
        .wait { height: .2rem; margin-top: .65rem; background: var(--dim); opacity: .5; }
        .mark { width: 0; height: 1.5rem; border-left: 1px solid var(--line); }
        .mark.rto { border-left: 2px dashed var(--bad); }
        .mark.resumed { border-left: 2px dotted var(--dim); }
        .track .time { font-size: 11px; line-height: 1.5rem; color: var(--dim); \
        font-variant-numeric: tabular-nums; white-space: nowrap; padding: 0 .3rem; }
        .axis { background: none; } .prepare { background: var(--prepare); } \
        .data { background: var(--data); } .start { background: var(--start); } \
        .check, .healthy { background: var(--check); } .manual { background: var(--manual); } \
        .failed { background: var(--bad); }
        .legend span { font-size: 13px; color: var(--dim); margin-right: 1rem; \
        white-space: nowrap; } .legend i { display: inline-block; width: .8rem; height: .8rem; \
        margin-right: .3rem; border-radius: 2px; vertical-align: -1px; }
        svg { display: block; } svg text { font: 13px system-ui, sans-serif; fill: var(--ink); } \
        svg .small { font-size: 11px; fill: var(--dim); } \
        svg rect { fill: var(--soft); stroke: var(--line); stroke-width: 1.5; } \
        svg .node-good rect { stroke: var(--good); } \
        svg .node-bad rect { stroke: var(--bad); stroke-dasharray: 5 3; } \
        svg path { fill: none; stroke: var(--dim); stroke-width: 1.2; opacity: .7; } \
        svg path.critical { stroke: var(--ink); stroke-width: 2.4; opacity: 1; } \
        svg polygon { fill: var(--dim); }
        @media (max-width: 45rem) { .row { grid-template-columns: 1fr; } \
        .row .label { white-space: normal; padding: .2rem .3rem 0; } }
        @media print { body { max-width: none; font-size: 11px; } h2 { break-after: avoid; } \
        .row, tr, .figure { break-inside: avoid; } .wide { overflow: visible; } \
        td, th { white-space: normal; } svg { max-width: 100%; height: auto; } \
        * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
        """
}

/// Text that HTML shows as it is, also within an attribute.
func escaped(_ text: String) -> String {
    var safe = ""
    for character in shown(text) {
        switch character {
        case "&": safe += "&amp;"
        case "<": safe += "&lt;"
        case ">": safe += "&gt;"
        case "\"": safe += "&quot;"
        case "'": safe += "&#39;"
        default: safe.append(character)
        }
    }
    return safe
}
