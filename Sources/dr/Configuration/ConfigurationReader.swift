import Model

/// Makes a ``Model/Configuration`` of the bytes of a `dr.yaml`. Pure: looks at no file.
struct ConfigurationReader {
    /// The file's name as messages show it.
    var file: String
    /// Relative paths are relative to this directory, which is absolute.
    var directory: String
    /// The repository that the command line or environment names instead of the file's.
    var repository: String?

    /// - Throws: ``Failures`` with everything that is wrong, each with its line and column.
    func read(_ bytes: [UInt8]) throws -> Configuration {
        let root: YamlNode?
        do throws(ConfigurationProblem) {
            root = try YamlParser.parse(try YamlText(bytes))
        } catch {
            throw Failures(all: [error.failure(file: file)])
        }
        guard let root, !root.isNull else {
            throw Failures(all: [
                Failure(
                    .usage, "\(file):1:1: the configuration is empty",
                    hint: "it needs a repository and services; dr config reference explains "
                        + "every key")
            ])
        }
        var reader = ShapeReader(provided: repository == nil ? [] : ["repository"])
        let value = reader.read(root, as: .record(ConfigurationShape.root), path: "")
        var problems = reader.problems
        var configuration = Configuration(repository: "")
        if let value {
            configuration = decode(value, problems: &problems)
            ServiceOrder(value).check(&problems)
        }
        guard problems.isEmpty else { throw Failures(all: problems.failures(file: file)) }
        return configuration
    }

    private func decode(
        _ value: ConfigurationValue, problems: inout ProblemList
    ) -> Configuration {
        let place = repository ?? value["repository"]?.text.map(absolute) ?? ""
        var configuration = Configuration(repository: place)
        configuration.catalog = value["catalog"]?.text.map(absolute)
        configuration.objectives = Objectives(
            rto: value["objectives"]?["rto"]?.span, rpo: value["objectives"]?["rpo"]?.span)
        if let retention = value["retention"] {
            configuration.retention = policy(retention, problems: &problems)
        }
        configuration.dockerHost = value["docker"]?["host"]?.text
        if let level = value["compression"]?["level"]?.integer {
            configuration.compressionLevel = level
        }
        let services = ServiceReader(absolute: absolute, objectives: configuration.objectives)
        for entry in value["services"]?.entries ?? [] {
            configuration.services.append(
                services.service(entry.name, entry.value, problems: &problems))
        }
        return configuration
    }

    private func policy(
        _ value: ConfigurationValue, problems: inout ProblemList
    ) -> RetentionPolicy {
        func count(_ key: String) -> Int { value[key]?.integer ?? 0 }
        let policy = RetentionPolicy(
            last: count("last"), daily: count("daily"), weekly: count("weekly"),
            monthly: count("monthly"), yearly: count("yearly"), within: value["within"]?.span)
        if policy == RetentionPolicy(), value.isFilled {
            problems.add(
                value.position, "retention has no rule that keeps anything",
                hint: "set one, or remove retention to keep every snapshot")
        }
        return policy
    }

    private func absolute(_ path: String) -> String {
        absolutePath(path, from: directory)
    }
}

/// `path`, seen from `directory`, without `.` components and doubled slashes.
///
/// `..` stays: what it means depends on symbolic links.
func absolutePath(_ path: String, from directory: String) -> String {
    let whole = path.hasPrefix("/") ? path : "\(directory)/\(path)"
    let components = whole.split(separator: "/").filter { $0 != "." }
    return "/" + components.joined(separator: "/")
}
