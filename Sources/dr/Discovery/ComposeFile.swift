import Engine
import Model

/// What a Compose file says of the order of its services.
enum ComposeFile {
    /// The services that each service of a file needs; empty when the file cannot be read.
    ///
    /// Compose writes the same on containers; old versions did not.
    static func dependencies(in path: String) -> [String: [String]] {
        guard path.hasSuffix(".yml") || path.hasSuffix(".yaml"),
            let size = try? FileSystem().sizeOfFile(path), size <= 1 << 20,
            let bytes = try? FileSystem().read(path), let text = try? YamlText(bytes),
            let root = try? YamlParser.parse(text), let services = root["services"]?.entries
        else { return [:] }
        var dependencies: [String: [String]] = [:]
        for service in services {
            switch service.value["depends_on"]?.content {
            case .sequence(let names): dependencies[service.key] = names.compactMap(\.text)
            case .mapping(let entries): dependencies[service.key] = entries.map(\.key)
            default: break
            }
        }
        return dependencies
    }
}

extension YamlNode {
    fileprivate var entries: [YamlEntry]? {
        guard case .mapping(let entries) = content else { return nil }
        return entries
    }

    fileprivate subscript(_ key: String) -> YamlNode? { entries?.first { $0.key == key }?.value }

    fileprivate var text: String? {
        guard case .scalar(let text, _) = content else { return nil }
        return text
    }
}
