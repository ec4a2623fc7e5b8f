import Model

// `repository:` and `copies:` as they stand in a file.
extension ConfigurationDocument {
    var repository: JSONValue {
        let options = configuration.repositoryOptions
        guard options != RepositoryOptions() else { return .string(configuration.repository) }
        return .object(place(configuration.repository, options))
    }

    var copies: JSONValue? {
        if configuration.copies.isEmpty { return nil }
        return .object(
            configuration.copies.map { copy in
                var members = place(copy.repository, copy.options)
                if let source = copy.password { members.append(secret(source, "password")) }
                if let file = copy.keyFile { members.append(JSONMember("key_file", .string(file))) }
                return JSONMember(copy.name, .object(members))
            })
    }

    private func place(_ place: String, _ options: RepositoryOptions) -> [JSONMember] {
        let isDirectory = place.hasPrefix("/")
        func text(_ value: String?) -> JSONValue? { value.map { .string($0) } }
        func rate(_ value: ByteCount?) -> JSONValue? {
            value.map { .integer(Int64($0.bytes >> 10)) }
        }
        let value = JSONValue.members([
            "place": .string(place), "endpoint": text(options.endpoint),
            "region": text(options.region), "style": text(options.style?.rawValue),
            "credentials_file": text(options.credentialsFile), "profile": text(options.profile),
            "ca_file": text(options.certificateAuthorities),
            "deadline": isDirectory ? nil : self.value(options.deadline),
            "connections": isDirectory ? nil : .integer(Int64(options.connections)),
            "upload_limit": rate(options.uploadLimit),
            "download_limit": rate(options.downloadLimit),
            "retain_for": options.retainFor.map { self.value($0) },
            "retain_mode": options.retainFor.map { _ in .string(options.retainMode.rawValue) },
            "cache_limit": isDirectory ? nil : .integer(Int64(options.cacheLimit.bytes >> 20)),
        ])
        if case .object(let members) = value { return members }
        return []
    }
}
