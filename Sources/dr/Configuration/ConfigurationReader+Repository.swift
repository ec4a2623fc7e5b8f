import Model
import Repository

// What `repository:` and `copies:` say.
extension ConfigurationReader {
    /// The place of a repository: the text itself, or the record's.
    func place(_ value: ConfigurationValue?) -> String? {
        (value?.text ?? value?["place"]?.text).map { absolutePlace($0, from: directory) }
    }

    func options(_ value: ConfigurationValue?) -> RepositoryOptions {
        var options = RepositoryOptions()
        guard let value, value.isRecord else { return options }
        options.endpoint = value["endpoint"]?.text
        options.region = value["region"]?.text
        options.style = value["style"]?.text.flatMap { .init(rawValue: $0) }
        options.credentialsFile = value["credentials_file"]?.text.map(absolute)
        options.profile = value["profile"]?.text
        options.certificateAuthorities = value["ca_file"]?.text.map(absolute)
        if let deadline = value["deadline"]?.span { options.deadline = deadline }
        if let connections = value["connections"]?.integer { options.connections = connections }
        func rate(_ key: String) -> ByteCount? {
            value[key]?.integer.map { ByteCount(UInt64($0) << 10) }
        }
        options.uploadLimit = rate("upload_limit")
        options.downloadLimit = rate("download_limit")
        options.retainFor = value["retain_for"]?.span
        options.retainMode =
            value["retain_mode"]?.text.flatMap { .init(rawValue: $0) } ?? .governance
        if let limit = value["cache_limit"]?.integer {
            options.cacheLimit = ByteCount(UInt64(limit) << 20)
        }
        return options
    }

    func copies(_ value: ConfigurationValue?, _ services: ServiceReader) -> [RepositoryCopy] {
        (value?.entries ?? []).map { name, _, value in
            return RepositoryCopy(
                name: name, repository: place(value) ?? "", options: options(value),
                password: services.password(value), keyFile: value["key_file"]?.text.map(absolute))
        }
    }
}

/// A directory's path, seen from `directory`; the address of any other place as it is.
func absolutePlace(_ text: String, from directory: String) -> String {
    guard let place = try? StorePlace(parsing: text), !place.isDirectory else {
        return absolutePath(text, from: directory)
    }
    return place.text
}
