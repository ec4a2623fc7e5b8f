import FoundationEssentials
import Model

/// As much of JSON Schema as the published ones use; what a schema says beyond that is an error.
struct SchemaCheck {
    private indirect enum Value: Decodable {
        case null
        case bool(Bool)
        case number(Double)
        case string(String)
        case array([Value])
        case object([String: Value])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .null
            } else if let value = try? container.decode(Bool.self) {
                self = .bool(value)
            } else if let value = try? container.decode(Double.self) {
                self = .number(value)
            } else if let value = try? container.decode(String.self) {
                self = .string(value)
            } else if let value = try? container.decode([Value].self) {
                self = .array(value)
            } else {
                self = .object(try container.decode([String: Value].self))
            }
        }

        var object: [String: Value]? { if case .object(let value) = self { value } else { nil } }
        var string: String? { if case .string(let value) = self { value } else { nil } }
        var array: [Value]? { if case .array(let value) = self { value } else { nil } }
        var text: String { "\(self)" }
    }

    private let schema: Value

    init(_ path: String) throws {
        schema = try JSONDecoder().decode(
            Value.self, from: Data(contentsOf: URL(filePath: path)))
    }

    /// What a document has that the schema does not allow; empty when it is valid.
    func problems(of document: [UInt8]) throws -> [String] {
        var problems: [String] = []
        check(
            try JSONDecoder().decode(Value.self, from: Data(document)), schema, "", &problems)
        return problems
    }

    private func check(
        _ value: Value, _ schema: Value, _ path: String, _ problems: inout [String]
    ) {
        guard let rules = schema.object else {
            problems.append("\(path): no schema")
            return
        }
        for (rule, wanted) in rules {
            switch rule {
            case "$schema", "title", "description", "properties": break
            case "type":
                if !Self.isOfType(value, wanted.string ?? "") {
                    problems.append("\(path) is no \(wanted.string ?? "")")
                }
            case "const": if value.text != wanted.text { problems.append("\(path) is not the one") }
            case "enum":
                if wanted.array?.contains(where: { $0.text == value.text }) != true {
                    problems.append("\(path) is none of the choices")
                }
            case "pattern":
                guard let pattern = wanted.string, let text = value.string,
                    let regex = try? Regex(pattern), text.contains(regex)
                else {
                    problems.append("\(path) has another form: \(value.text)")
                    continue
                }
            case "required":
                for name in wanted.array?.compactMap(\.string) ?? []
                where value.object?[name] == nil { problems.append("\(path)/\(name) is missing") }
            case "items":
                for (place, item) in (value.array ?? []).enumerated() {
                    check(item, wanted, "\(path)/\(place)", &problems)
                }
            case "additionalProperties":
                let known = rules["properties"]?.object ?? [:]
                for (name, member) in value.object ?? [:] where known[name] == nil {
                    if case .bool(false) = wanted {
                        problems.append("\(path)/\(name) is not known")
                    } else {
                        check(member, wanted, "\(path)/\(name)", &problems)
                    }
                }
            default: problems.append("\(path): the schema's \(rule) is not understood")
            }
        }
        for (name, inner) in rules["properties"]?.object ?? [:] {
            if let member = value.object?[name] {
                check(member, inner, "\(path)/\(name)", &problems)
            }
        }
    }

    private static func isOfType(_ value: Value, _ type: String) -> Bool {
        switch (value, type) {
        case (.object, "object"), (.array, "array"), (.string, "string"), (.bool, "boolean"),
            (.number, "number"), (.null, "null"):
            true
        case (.number(let number), "integer"): number.rounded() == number
        default: false
        }
    }
}
