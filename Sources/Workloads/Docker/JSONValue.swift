import FoundationEssentials
import Model

/// Any JSON, with nothing lost: what the Engine says in fields that `dr` does not know stays.
public enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// Parses a whole JSON text.
    public init(parsing bytes: [UInt8]) throws {
        self = try JSONDecoder().decode(JSONValue.self, from: Data(bytes))
    }

    /// The same value as text: keys in order, so that equal values are equal bytes.
    public func bytes(pretty: Bool = false) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
        return Array(try encoder.encode(self))
    }

    /// A member of an object; null when there is none, or this is no object. Setting null removes.
    public subscript(key: String) -> JSONValue {
        get {
            guard case .object(let members) = self else { return .null }
            return members[key] ?? .null
        }
        set {
            var members = object ?? [:]
            members[key] = newValue == .null ? nil : newValue
            self = .object(members)
        }
    }

    public var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }
    public var bool: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }
    public var integer: Int64? {
        guard case .integer(let value) = self else { return nil }
        return value
    }
    public var array: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }
    public var object: [String: JSONValue]? {
        guard case .object(let members) = self else { return nil }
        return members
    }
    /// The texts of an array; empty for anything else.
    public var strings: [String] { array?.compactMap(\.string) ?? [] }
    /// The members of an object whose values are texts; empty for anything else.
    public var stringMap: [String: String] { object?.compactMapValues(\.string) ?? [:] }

    /// An object of texts.
    public init(_ map: [String: String]) { self = .object(map.mapValues { .string($0) }) }
    /// An array of texts.
    public init(_ texts: some Sequence<String>) { self = .array(texts.map { .string($0) }) }

    /// Null, or an empty text, array or object.
    public var isEmpty: Bool {
        switch self {
        case .null: true
        case .string(let text): text.isEmpty
        case .array(let elements): elements.isEmpty
        case .object(let members): members.isEmpty
        case .bool, .integer, .number: false
        }
    }
}

extension JSONValue: Codable {
    public init(from decoder: any Decoder) throws {
        if let container = try? decoder.container(keyedBy: Key.self) {
            var members: [String: JSONValue] = [:]
            for key in container.allKeys {
                members[key.stringValue] = try container.decode(JSONValue.self, forKey: key)
            }
            self = .object(members)
            return
        }
        if var container = try? decoder.unkeyedContainer() {
            var elements: [JSONValue] = []
            while !container.isAtEnd { elements.append(try container.decode(JSONValue.self)) }
            self = .array(elements)
            return
        }
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let text = try? container.decode(String.self) {
            self = .string(text)
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else {
            self = .number(try container.decode(Double.self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        switch self {
        case .object(let members):
            var container = encoder.container(keyedBy: Key.self)
            for (key, value) in members { try container.encode(value, forKey: Key(key)) }
        case .array(let elements):
            var container = encoder.unkeyedContainer()
            for element in elements { try container.encode(element) }
        default:
            var container = encoder.singleValueContainer()
            switch self {
            case .string(let text): try container.encode(text)
            case .bool(let value): try container.encode(value)
            case .integer(let value): try container.encode(value)
            case .number(let value): try container.encode(value)
            case .null, .array, .object: try container.encodeNil()
            }
        }
    }

    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(_ text: String) { stringValue = text }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { nil }
    }
}
