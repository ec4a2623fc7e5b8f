import ArgumentParser

/// The manual pages of all commands, made from what `--help` says.
struct Manual {
    /// A page: `dr-backup.1` and its text in the language of man.
    struct Page {
        var name: String
        var text: String
    }

    /// One for `dr` itself and one for every command.
    static var pages: [Page] { pages(of: Dr.self, path: ["dr"]) }

    private static func pages(
        of command: any ParsableCommand.Type, path: [String]
    ) -> [Page] {
        let name = path.joined(separator: "-")
        var pages = [
            Page(name: "\(name).1", text: text(of: command, name: name, path: path))
        ]
        for child in command.configuration.subcommands {
            guard child.configuration.shouldDisplay, let last = child.configuration.commandName
            else { continue }
            pages += self.pages(of: child, path: path + [last])
        }
        return pages
    }

    private static func text(
        of command: any ParsableCommand.Type, name: String, path: [String]
    ) -> String {
        let configuration = command.configuration
        var lines = [
            ".TH \(name.uppercased()) 1 \"\" \"dr \(Version.current)\" \"dr\"", ".SH NAME",
            "\(escaped(name)) \\- \(escaped(configuration.abstract))",
        ]
        var section = ""
        let help = Dr.helpMessage(for: command, includeHidden: false, columns: 200)
        var paragraphs = help.split(separator: "\n", omittingEmptySubsequences: false)[...]
        while let line = paragraphs.popFirst() {
            if let title = heading(line) {
                section = title
                if title == "OVERVIEW" { continue }
                lines.append(".SH \(title == "USAGE" ? "SYNOPSIS" : title)")
                let rest = line.dropFirst(title.count + 1).drop { $0 == " " }
                if !rest.isEmpty { lines.append(".B \(escaped(String(rest)))") }
                continue
            }
            guard section != "OVERVIEW", !line.isEmpty else { continue }
            guard line.hasPrefix("  "), line.dropFirst(2).first != " " else {
                lines.append(escaped(String(line.drop { $0 == " " })))
                continue
            }
            // An option or command, then its meaning behind two spaces or more, or on the next lines.
            let item = line.dropFirst(2)
            let end = item.firstRange(of: "  ")?.lowerBound ?? item.endIndex
            lines.append(".TP")
            lines.append(".B \(escaped(String(item[..<end])))")
            let meaning = item[end...].drop { $0 == " " }
            if !meaning.isEmpty { lines.append(escaped(String(meaning))) }
        }
        if !configuration.discussion.isEmpty {
            lines.append(".SH DESCRIPTION")
            for part in configuration.discussion.split(separator: "\n") {
                lines += [".PP", escaped(String(part))]
            }
        }
        lines += [".SH EXIT STATUS"]
        for line in CommandLineParser.exitCodes.split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            lines += [
                ".TP", ".B \(parts.first ?? "")",
                escaped(parts.last.map { String($0.drop { $0 == " " }) } ?? ""),
            ]
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// `OPTIONS:` and the like, alone or with a text behind it.
    private static func heading(_ line: Substring) -> String? {
        guard let colon = line.firstIndex(of: ":"), line.first?.isUppercase == true else {
            return nil
        }
        let title = line[..<colon]
        let isHeading = title.allSatisfy { $0.isUppercase || $0 == " " } && !title.isEmpty
        return isHeading ? String(title) : nil
    }

    /// What man takes for commands of its own stands for itself.
    private static func escaped(_ text: String) -> String {
        let escaped = text.replacing("\\", with: "\\e").replacing("-", with: "\\-")
        return escaped.hasPrefix(".") || escaped.hasPrefix("'") ? "\\&" + escaped : escaped
    }
}
