/// Every key of the configuration as a page of Markdown; `docs/configuration.md` is this.
enum ConfigurationReference {
    static var page: String {
        var lines = [
            "# dr.yaml",
            "",
            "<!-- Written by `dr config reference`. Change ConfigurationShape.swift instead. -->",
            "",
            "The configuration is one YAML file. `dr` takes it from `--config`, else from",
            "`DR_CONFIG`, else from `/etc/dr/dr.yaml`. It never holds a secret. Relative paths are",
            "relative to the file's own directory. A file that everybody may write is refused.",
            "",
            "- `dr config check` finds every mistake and shows its line and column.",
            "- `dr config show` shows what the file means, with all defaults filled in.",
            "- `dr config schema` writes a JSON Schema with which an editor completes and checks.",
            "",
            "```yaml",
        ]
        lines += example
        lines.append("```")
        lines += section("Top level", ConfigurationShape.root, path: "")
        return lines.joined(separator: "\n") + "\n"
    }

    /// A configuration that uses most of what there is; a test reads it.
    static let example = [
        "repository: /srv/dr",
        "objectives: {rto: 1h, rpo: 24h}",
        "retention: {daily: 7, weekly: 4, monthly: 12}",
        "",
        "services:",
        "  umami-db:",
        "    postgres: {container: umami-db}",
        "    rto: 15m",
        "  umami:",
        "    docker: {container: umami}",
        "    after: [umami-db]",
        "    check: {http: \"http://127.0.0.1:3000/api/heartbeat\"}",
        "  caddy:",
        "    docker: {container: caddy}",
        "    after: [umami]",
        "    check: {http: \"https://stats.example.org/\", expect: 200}",
        "  site:",
        "    files: [/srv/www, /etc/caddy]",
    ]

    private static func section(_ title: String, _ fields: RecordShape, path: String) -> [String] {
        var lines = ["", "## \(title)", ""]
        if !fields.exactlyOne.isEmpty {
            lines += ["Exactly one of \(names(fields.exactlyOne)).", ""]
        }
        if !fields.atLeastOne.isEmpty {
            lines += ["At least one of \(names(fields.atLeastOne)).", ""]
        }
        if !fields.atMostOne.isEmpty {
            lines += ["At most one of \(names(fields.atMostOne)).", ""]
        }
        lines += ["| key | value | without it | meaning |", "| --- | --- | --- | --- |"]
        for key in fields.keys { lines.append(row(key, path: path)) }
        for key in fields.keys {
            for (suffix, inner) in records(in: key.shape) {
                let inside = path.isEmpty ? key.name + suffix : "\(path).\(key.name)\(suffix)"
                lines += section("`\(inside)`", inner, path: inside)
            }
        }
        return lines
    }

    private static func row(_ key: KeyShape, path: String) -> String {
        let without = key.isRequired ? "required" : key.absent ?? "-"
        return "| `\(key.name)` | \(describe(key.shape)), for example `\(key.example)` "
            + "| \(without) | \(key.summary) |"
    }

    private static func describe(_ shape: Shape) -> String {
        switch shape {
        case .choice(let words): Shape.alternatives(words.map { "`\($0)`" })
        case .words: "a program with its arguments, as a list or one line"
        default: shape.phrase
        }
    }

    /// The mappings in `shape`, with what follows the key in their path.
    private static func records(in shape: Shape) -> [(suffix: String, RecordShape)] {
        switch shape {
        case .record(let fields), .listOrRecord(_, let fields), .textOrRecord(_, let fields):
            [("", fields)]
        case .named(let fields): [(".<name>", fields)]
        case .list(let item), .oneOrMore(let item): records(in: item)
        case .text, .flag, .integer, .span, .choice, .words, .pairs: []
        }
    }

    private static func names(_ keys: [String]) -> String {
        Shape.alternatives(keys.map { "`\($0)`" })
    }
}
