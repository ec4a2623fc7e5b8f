/// The configuration's shape as a JSON Schema, for editors that complete and check `dr.yaml`.
enum ConfigurationSchema {
    /// The whole document; `docs/dr.schema.json` is this, indented.
    static var document: JSONValue {
        var members: [JSONMember] = [
            JSONMember("$schema", "https://json-schema.org/draft/2020-12/schema"),
            JSONMember("title", "dr.yaml"),
            JSONMember("description", "The configuration of dr, a backup and recovery tool"),
        ]
        if case .object(let rest) = schema(of: ConfigurationShape.root) { members += rest }
        return .object(members)
    }

    private static func schema(of shape: Shape) -> JSONValue {
        switch shape {
        case .text(let rule):
            // A name of digits is a number to YAML, and a name to dr.
            let isBareWord = rule == .any || rule == .name || rule == .port
            return [
                "type": isBareWord ? ["string", "number"] : "string",
                "pattern": .string(rule.pattern),
            ]
        case .flag: return ["type": "boolean"]
        case .integer(let range):
            return [
                "type": "integer", "minimum": .integer(Int64(range.lowerBound)),
                "maximum": .integer(Int64(range.upperBound)),
            ]
        case .span:
            return [
                "type": ["string", "number"], "exclusiveMinimum": 0,
                "pattern": "^ *[0-9]+(\\.[0-9]+)? *([smhdw] *([0-9]+(\\.[0-9]+)? *[smhdw] *)*)?$",
            ]
        case .choice(let words): return ["enum": .strings(words)]
        case .words:
            return [
                "anyOf": [
                    ["type": "string", "pattern": "\\S"],
                    ["type": "array", "items": ["type": ["string", "number"]], "minItems": 1],
                ]
            ]
        case .list(let item): return list(of: item)
        case .oneOrMore(let item): return ["anyOf": [schema(of: item), list(of: item)]]
        case .record(let fields): return schema(of: fields)
        case .named(let fields):
            return [
                "type": "object",
                "propertyNames": ["pattern": .string(TextRule.name.pattern)],
                "additionalProperties": schema(of: fields),
            ]
        case .pairs(let key, let value):
            return [
                "type": "object", "propertyNames": ["pattern": .string(key.pattern)],
                "additionalProperties": schema(of: .text(value)),
            ]
        case .textOrRecord(let rule, let fields):
            return ["anyOf": [schema(of: .text(rule)), schema(of: fields)]]
        case .listOrRecord(let item, let fields):
            return ["anyOf": [list(of: item), schema(of: fields)]]
        }
    }

    private static func list(of item: Shape) -> JSONValue {
        ["type": "array", "items": schema(of: item), "minItems": 1]
    }

    private static func schema(of fields: RecordShape) -> JSONValue {
        let properties = fields.keys.map { key in
            JSONMember(key.name, described(schema(of: key.shape), by: key))
        }
        let required = fields.keys.filter(\.isRequired).map(\.name)
        var members: [JSONMember] = [
            JSONMember("type", "object"),
            JSONMember("additionalProperties", false),
            JSONMember("properties", .object(properties)),
        ]
        if !required.isEmpty { members.append(JSONMember("required", .strings(required))) }
        let rules = rules(of: fields)
        // Two of one name in an object would be one.
        members +=
            rules.count > 1
            ? [JSONMember("allOf", .array(rules.map { .object([$0]) }))] : rules
        return .object(members)
    }

    /// Which keys must or may stand together.
    private static func rules(of fields: RecordShape) -> [JSONMember] {
        var rules: [JSONMember] = []
        if !fields.exactlyOne.isEmpty {
            rules.append(JSONMember("oneOf", .array(presence(of: fields.exactlyOne))))
        }
        if !fields.atLeastOne.isEmpty {
            rules.append(JSONMember("anyOf", .array(presence(of: fields.atLeastOne))))
        }
        if !fields.atMostOne.isEmpty {
            let each = presence(of: fields.atMostOne)
            rules.append(JSONMember("oneOf", .array(each + [["not": ["anyOf": .array(each)]]])))
        }
        return rules
    }

    private static func presence(of keys: [String]) -> [JSONValue] {
        keys.map { ["required": .strings([$0])] }
    }

    private static func described(_ schema: JSONValue, by key: KeyShape) -> JSONValue {
        guard case .object(let members) = schema else { return schema }
        let text = key.absent.map { "\(key.summary). Default: \($0)." } ?? key.summary + "."
        return .object([JSONMember("description", .string(text))] + members)
    }
}
