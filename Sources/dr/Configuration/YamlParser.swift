import CYaml
import Model

/// Reads one YAML document into a tree, with libyaml's event parser.
///
/// Bounded whatever the text holds: at most ``depthLimit`` levels and ``nodeLimit`` values, aliases
/// counted as often as they are used.
struct YamlParser: ~Copyable {
    static let depthLimit = 32
    static let nodeLimit = 50_000

    private let text: YamlText
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private var anchors: [String: YamlNode] = [:]
    private var nodes = 0

    /// The root of the only document in `text`; nil when there is none.
    static func parse(_ text: YamlText) throws(ConfigurationProblem) -> YamlNode? {
        let result: Result<YamlNode?, ConfigurationProblem> = text.bytes.withUnsafeBufferPointer {
            var parser = YamlParser(text, input: $0)
            do throws(ConfigurationProblem) {
                return .success(try parser.document())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private init(_ text: YamlText, input: UnsafeBufferPointer<UInt8>) {
        self.text = text
        parser = .allocate(capacity: 1)
        yaml_parser_initialize(parser)
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, input.baseAddress, input.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    /// What an event means here, copied out of libyaml's memory.
    private enum Event {
        case scalar(String, isPlain: Bool, anchor: String?)
        case sequence(anchor: String?)
        case mapping(anchor: String?)
        case alias(String)
        case end
        case documentStart
        case other
    }

    private mutating func document() throws(ConfigurationProblem) -> YamlNode? {
        var root: YamlNode?
        while true {
            let (event, position) = try next()
            switch event {
            case .end: return root
            case .documentStart:
                if root != nil {
                    throw ConfigurationProblem(
                        position, "a second document begins here",
                        hint: "remove the line ---: a configuration is one document")
                }
            case .other: break
            default: root = try node(event, at: position, depth: 1)
            }
        }
    }

    private mutating func node(
        _ event: Event, at position: TextPosition, depth: Int
    ) throws(ConfigurationProblem) -> YamlNode {
        guard depth <= Self.depthLimit else {
            throw ConfigurationProblem(
                position, "nested more than \(Self.depthLimit) levels deep")
        }
        var weight = 1
        switch event {
        case .scalar(let text, let isPlain, let anchor):
            try count(1, at: position)
            let node = YamlNode(
                content: .scalar(text, isPlain: isPlain), position: position, weight: weight)
            return remember(node, as: anchor)
        case .alias(let name):
            guard let node = anchors[name] else {
                throw ConfigurationProblem(
                    position, "alias *\(name) stands for nothing that comes before it",
                    hint: "quote the value if it is meant to begin with *")
            }
            try count(node.weight, at: position)
            return node
        case .sequence(let anchor):
            try count(1, at: position)
            var items: [YamlNode] = []
            while true {
                let (event, place) = try next()
                if case .end = event { break }
                let item = try node(event, at: place, depth: depth + 1)
                weight += item.weight
                items.append(item)
            }
            let node = YamlNode(content: .sequence(items), position: position, weight: weight)
            return remember(node, as: anchor)
        case .mapping(let anchor):
            try count(1, at: position)
            var entries: [YamlEntry] = []
            while true {
                let (event, place) = try next()
                if case .end = event { break }
                let key = try key(event, at: place)
                let (valueEvent, valuePlace) = try next()
                let value = try node(valueEvent, at: valuePlace, depth: depth + 1)
                weight += value.weight + 1
                entries.append(YamlEntry(key: key, position: place, value: value))
            }
            let node = YamlNode(content: .mapping(entries), position: position, weight: weight)
            return remember(node, as: anchor)
        case .end, .documentStart, .other:
            throw ConfigurationProblem(position, "not valid YAML")
        }
    }

    private mutating func key(
        _ event: Event, at position: TextPosition
    ) throws(ConfigurationProblem) -> String {
        let node = try node(event, at: position, depth: 1)
        guard case .scalar(let text, _) = node.content else {
            throw ConfigurationProblem(
                position, "a list or mapping cannot be a key",
                hint: "quote the text if it begins with [ or {")
        }
        if text == "<<" {
            throw ConfigurationProblem(
                position, "merge keys (<<) are not supported",
                hint: "write the keys out, or use an alias for a whole value")
        }
        return text
    }

    private mutating func remember(_ node: YamlNode, as anchor: String?) -> YamlNode {
        if let anchor { anchors[anchor] = node }
        return node
    }

    private mutating func count(_ more: Int, at position: TextPosition) throws(ConfigurationProblem)
    {
        nodes += more
        if nodes > Self.nodeLimit {
            throw ConfigurationProblem(
                position, "the file holds more than \(Self.nodeLimit) values, aliases counted")
        }
    }

    private mutating func next() throws(ConfigurationProblem) -> (Event, TextPosition) {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw syntaxProblem() }
        defer { yaml_event_delete(&event) }
        let position = Self.position(event.start_mark)
        switch event.type {
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE
            try refuseTag(scalar.tag, at: position)
            return (
                .scalar(
                    String(decoding: bytes, as: UTF8.self), isPlain: isPlain,
                    anchor: Self.string(scalar.anchor)), position
            )
        case YAML_SEQUENCE_START_EVENT:
            try refuseTag(event.data.sequence_start.tag, at: position)
            return (.sequence(anchor: Self.string(event.data.sequence_start.anchor)), position)
        case YAML_MAPPING_START_EVENT:
            try refuseTag(event.data.mapping_start.tag, at: position)
            return (.mapping(anchor: Self.string(event.data.mapping_start.anchor)), position)
        case YAML_ALIAS_EVENT:
            return (.alias(Self.string(event.data.alias.anchor) ?? ""), position)
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT, YAML_STREAM_END_EVENT:
            return (.end, position)
        case YAML_DOCUMENT_START_EVENT: return (.documentStart, position)
        default: return (.other, position)
        }
    }

    private func refuseTag(
        _ tag: UnsafeMutablePointer<UInt8>?, at position: TextPosition
    ) throws(ConfigurationProblem) {
        guard let name = Self.string(tag) else { return }
        throw ConfigurationProblem(
            position, "the tag \(name) is not supported",
            hint: "remove it, or quote the value if it is meant to begin with !")
    }

    private func syntaxProblem() -> ConfigurationProblem {
        let parser = parser.pointee
        let context = parser.context.map { String(cString: $0) }
        return YamlSyntaxError(
            problem: parser.problem.map { String(cString: $0) } ?? "",
            position: Self.position(parser.problem_mark),
            context: context ?? "",
            contextPosition: context.map { _ in Self.position(parser.context_mark) }
        ).inPlainWords(text)
    }

    private static func string(_ pointer: UnsafeMutablePointer<UInt8>?) -> String? {
        pointer.map { String(cString: $0) }
    }

    private static func position(_ mark: yaml_mark_t) -> TextPosition {
        TextPosition(line: Int(mark.line) + 1, column: Int(mark.column) + 1)
    }
}
