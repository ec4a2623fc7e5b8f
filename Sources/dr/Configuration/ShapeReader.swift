import Model

/// Compares a YAML tree with the shape it must have, and keeps every difference.
struct ShapeReader {
    private(set) var problems = ProblemList()
    /// Keys that are not missed although they are required.
    private let provided: Set<String>

    init(provided: Set<String> = []) { self.provided = provided }

    /// The value that `node` stands for; nil when it does not have the shape.
    ///
    /// - Parameter path: Names the value in messages, for example `services.umami.rto`; empty for
    ///   the whole configuration.
    mutating func read(_ node: YamlNode, as shape: Shape, path: String) -> ConfigurationValue? {
        if node.isNull {
            problems.add(
                node.position, "\(path) has no value",
                hint: "write \(shape.phrase) after the colon, or remove the key")
            return nil
        }
        switch shape {
        case .list(let item):
            guard case .sequence(let nodes) = node.content else {
                return mismatch(node, shape, path)
            }
            return list(nodes, of: item, at: node.position, path: path)
        case .oneOrMore(let item):
            guard case .sequence(let nodes) = node.content else {
                if case .mapping(let entries) = node.content, case .record(let fields) = item {
                    return record(entries, as: fields, at: node.position, path: path)
                }
                guard case .scalar = node.content else { return mismatch(node, shape, path) }
                switch item {
                case .text, .choice: return read(node, as: item, path: path)
                default: return mismatch(node, shape, path)
                }
            }
            return list(nodes, of: item, at: node.position, path: path)
        case .textOrRecord(let rule, let fields):
            if case .mapping(let entries) = node.content {
                return record(entries, as: fields, at: node.position, path: path)
            }
            guard case .scalar = node.content else { return mismatch(node, shape, path) }
            return scalar(node, as: .text(rule), path: path)
        case .listOrRecord(let item, let fields):
            switch node.content {
            case .sequence(let nodes):
                return list(nodes, of: item, at: node.position, path: path)
            case .mapping(let entries):
                return record(entries, as: fields, at: node.position, path: path)
            case .scalar: return mismatch(node, shape, path)
            }
        case .record(let fields):
            guard case .mapping(let entries) = node.content else {
                return mismatch(node, shape, path)
            }
            return record(entries, as: fields, at: node.position, path: path)
        case .named(let fields):
            guard case .mapping(let entries) = node.content else {
                return mismatch(node, shape, path)
            }
            return named(entries, as: fields, at: node.position, path: path)
        case .pairs(let key, let value):
            guard case .mapping(let entries) = node.content else {
                return mismatch(node, shape, path)
            }
            return pairs(entries, key, value, at: node.position, path: path)
        case .words:
            if case .sequence(let nodes) = node.content {
                return wordList(nodes, at: node.position, path: path)
            }
            return scalar(node, as: shape, path: path)
        case .text, .flag, .integer, .span, .choice:
            return scalar(node, as: shape, path: path)
        }
    }

    private mutating func mismatch(
        _ node: YamlNode, _ shape: Shape, _ path: String
    ) -> ConfigurationValue? {
        let found =
            switch node.content {
            case .scalar(let text, _): "\"\(text)\""
            case .sequence: "a list"
            case .mapping: "a mapping"
            }
        let what = path.isEmpty ? "the configuration" : path
        var hint: String?
        if case .scalar(let text, _) = node.content {
            switch shape {
            case .list, .listOrRecord: hint = "write it in brackets: [\(text)]"
            default: break
            }
        }
        problems.add(node.position, "\(what) must be \(shape.phrase), not \(found)", hint: hint)
        return nil
    }

    private mutating func scalar(
        _ node: YamlNode, as shape: Shape, path: String
    ) -> ConfigurationValue? {
        guard case .scalar(let text, let isPlain) = node.content else {
            return mismatch(node, shape, path)
        }
        let content: ConfigurationValue.Content
        switch shape {
        case .text(let rule):
            if let problem = rule.problem(with: text) {
                problems.add(node.position, "\(path) \(problem.message)", hint: problem.hint)
                return nil
            }
            content = .text(text)
        case .flag:
            guard isPlain, text == "true" || text == "false" else {
                return mismatch(node, shape, path)
            }
            content = .flag(text == "true")
        case .integer(let range):
            guard isPlain, let value = Int(text), range.contains(value) else {
                return mismatch(node, shape, path)
            }
            content = .integer(value)
        case .span:
            guard let value = TimeSpan(parsing: text), value > .zero else {
                problems.add(
                    node.position, "\(path) must be \(shape.phrase), not \"\(text)\"",
                    hint: "write for example 90s, 15m, 1h30m or 7d")
                return nil
            }
            content = .span(value)
        case .choice(let words):
            guard words.contains(text) else {
                problems.add(
                    node.position, "\(path) must be \(shape.phrase), not \"\(text)\"",
                    hint: nearestName(to: text, among: words).map { "did you mean \"\($0)\"?" })
                return nil
            }
            content = .text(text)
        case .words:
            do throws(CommandWords.Problem) {
                content = .words(try CommandWords.split(text))
            } catch {
                problems.add(
                    node.position, "\(path) is no command: \(error.message)", hint: error.hint)
                return nil
            }
        default: return mismatch(node, shape, path)
        }
        return ConfigurationValue(content: content, position: node.position)
    }

    private mutating func wordList(
        _ nodes: [YamlNode], at position: TextPosition, path: String
    ) -> ConfigurationValue? {
        var words: [String] = []
        for (index, node) in nodes.enumerated() {
            guard case .scalar(let text, _) = node.content else {
                return mismatch(node, .text(.any), "\(path)[\(index)]")
            }
            words.append(text)
        }
        guard let program = words.first, !program.isEmpty else {
            problems.add(
                position, "\(path) names no program", hint: "write a program and its arguments")
            return nil
        }
        return ConfigurationValue(content: .words(words), position: position)
    }

    private mutating func list(
        _ nodes: [YamlNode], of item: Shape, at position: TextPosition, path: String
    ) -> ConfigurationValue? {
        if nodes.isEmpty {
            problems.add(position, "\(path) is an empty list", hint: "remove it, or fill it")
            return nil
        }
        let items = nodes.enumerated().compactMap {
            read($0.element, as: item, path: "\(path)[\($0.offset)]")
        }
        return ConfigurationValue(content: .list(items), position: position)
    }

    private mutating func record(
        _ entries: [YamlEntry], as shape: RecordShape, at position: TextPosition, path: String
    ) -> ConfigurationValue? {
        var values: [String: ConfigurationValue] = [:]
        let place = path.isEmpty ? "" : " in \(path)"
        for entry in unique(entries, place: place) {
            guard let key = shape.key(entry.key) else {
                unknown(entry, in: shape, place: place)
                continue
            }
            let name = path.isEmpty ? entry.key : "\(path).\(entry.key)"
            if let hint = key.insteadOfMapping, case .mapping = entry.value.content {
                problems.add(
                    entry.value.position, "\(name) must be \(key.shape.phrase), not a mapping",
                    hint: hint)
                continue
            }
            values[entry.key] = read(entry.value, as: key.shape, path: name)
        }
        checkPresence(of: Set(entries.map(\.key)), in: shape, at: position, path: path)
        return ConfigurationValue(content: .record(values), position: position)
    }

    private mutating func named(
        _ entries: [YamlEntry], as shape: RecordShape, at position: TextPosition, path: String
    ) -> ConfigurationValue? {
        var values: [(name: String, position: TextPosition, value: ConfigurationValue)] = []
        for entry in unique(entries, place: " in \(path)") {
            if let problem = TextRule.name.problem(with: entry.key) {
                problems.add(
                    entry.position, "a key in \(path) \(problem.message)", hint: problem.hint)
                continue
            }
            let name = "\(path).\(entry.key)"
            if let value = read(entry.value, as: .record(shape), path: name) {
                values.append((entry.key, entry.position, value))
            }
        }
        return ConfigurationValue(content: .named(values), position: position)
    }

    private mutating func pairs(
        _ entries: [YamlEntry], _ key: TextRule, _ shape: TextRule, at position: TextPosition,
        path: String
    ) -> ConfigurationValue? {
        var values: [(name: String, position: TextPosition, value: ConfigurationValue)] = []
        for entry in unique(entries, place: " in \(path)") {
            if let problem = key.problem(with: entry.key) {
                problems.add(
                    entry.position, "a key in \(path) \(problem.message)", hint: problem.hint)
            } else if let value = read(
                entry.value, as: .text(shape), path: "\(path).\(entry.key)")
            {
                values.append((entry.key, entry.position, value))
            }
        }
        return ConfigurationValue(content: .named(values), position: position)
    }

    /// The entries with the first of each key, having complained about the others.
    private mutating func unique(_ entries: [YamlEntry], place: String) -> [YamlEntry] {
        var lines: [String: Int] = [:]
        return entries.filter { entry in
            if let line = lines[entry.key] {
                problems.add(
                    entry.position,
                    "key \"\(entry.key)\" is given twice\(place), first on line \(line)",
                    hint: "keep one of the two")
                return false
            }
            lines[entry.key] = entry.position.line
            return true
        }
    }

    private mutating func unknown(_ entry: YamlEntry, in shape: RecordShape, place: String) {
        let known = shape.keys.map(\.name)
        if shape.later.contains(entry.key) {
            problems.add(
                entry.position,
                "key \"\(entry.key)\"\(place) is not supported by this version",
                hint: "remove it, or use a later version of dr")
        } else if let near = nearestName(to: entry.key, among: known) {
            problems.add(
                entry.position, "unknown key \"\(entry.key)\"\(place)",
                hint: "did you mean \"\(near)\"?")
        } else {
            problems.add(
                entry.position, "unknown key \"\(entry.key)\"\(place)",
                hint: "known here: \(known.joined(separator: ", "))")
        }
    }

    private mutating func checkPresence(
        of given: Set<String>, in shape: RecordShape, at position: TextPosition, path: String
    ) {
        let what = path.isEmpty ? "the configuration" : path
        for key in shape.keys
        where key.isRequired && !given.contains(key.name)
            && !(path.isEmpty && provided.contains(key.name))
        {
            problems.add(
                position, "\(what) lacks \(key.name)",
                hint: "add a line like \(key.name): \(key.example)")
        }
        let chosen = shape.exactlyOne.filter(given.contains)
        if !shape.exactlyOne.isEmpty, chosen.count != 1 {
            let names = Shape.alternatives(shape.exactlyOne)
            problems.add(
                position,
                chosen.isEmpty
                    ? "\(what) lacks one of \(names)"
                    : "\(what) has more than one of \(names)",
                hint: chosen.isEmpty ? "add one of them" : "keep one of them")
        }
        if shape.atMostOne.filter(given.contains).count > 1 {
            problems.add(
                position,
                "\(what) has more than one of \(Shape.alternatives(shape.atMostOne))",
                hint: "keep one of them")
        }
        let isEmptyService =
            !shape.atLeastOne.isEmpty && shape.atLeastOne.allSatisfy { !given.contains($0) }
            && given.allSatisfy { shape.key($0) != nil }
        if isEmptyService {
            problems.add(
                position, "\(what) has nothing to back up",
                hint: "add one of \(Shape.alternatives(shape.atLeastOne))")
        }
    }
}
