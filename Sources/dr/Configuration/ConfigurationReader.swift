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
        let own = place(value["repository"]) ?? ""
        var configuration = Configuration(repository: repository ?? own)
        if configuration.repository == own {
            configuration.repositoryOptions = options(value["repository"])
        }
        configuration.catalog = value["catalog"]?.text.map(absolute)
        configuration.objectives = Objectives(
            rto: value["objectives"]?["rto"]?.span, rpo: value["objectives"]?["rpo"]?.span)
        configuration.dockerHost = value["docker"]?["host"]?.text
        if let level = value["compression"]?["level"]?.integer {
            configuration.compressionLevel = level
        }
        if let night = value["backup"] { configuration.night = ServiceReader.night(night) }
        if let recovery = value["restore"] {
            configuration.recovery = RecoveryRules(
                jobs: recovery["jobs"]?.integer ?? configuration.recovery.jobs,
                jobsPerDisk: recovery["jobs_per_disk"]?.integer,
                downloads: recovery["downloads"]?.integer ?? configuration.recovery.downloads)
        }
        configuration.drill = drill(value["drill"], problems: &problems)
        configuration.contacts = value["contacts"]?.texts ?? []
        let services = ServiceReader(
            absolute: absolute, objectives: configuration.objectives,
            plausibility: ServiceReader.plausibility(
                value["plausibility"], default: PlausibilityRules()))
        if configuration.repository == own {
            configuration.copies = copies(value["copies"], services)
        }
        if let retention = value["retention"] {
            configuration.retention = services.retention(retention, problems: &problems)
        }
        watch(value, services, &configuration, problems: &problems)
        for entry in value["services"]?.entries ?? [] {
            configuration.services.append(
                services.service(entry.name, entry.value, problems: &problems))
        }
        let targets = TargetReader(absolute: absolute)
        for entry in value["targets"]?.entries ?? [] {
            configuration.targets.append(
                targets.target(
                    entry.name, at: entry.position, entry.value, problems: &problems))
        }
        return configuration
    }

    private func drill(
        _ value: ConfigurationValue?, problems: inout ProblemList
    ) -> DrillRules {
        var rules = DrillRules()
        if let interval = value?["every"]?.span {
            rules.interval = interval
            rules.isWanted = true
        }
        rules.directory = value?["directory"]?.text.map(absolute) ?? rules.directory
        rules.sample = value?["sample"]?.integer ?? rules.sample
        if let range = value?["guests"], let first = range["from"]?.integer,
            let last = range["to"]?.integer
        {
            if first <= last {
                rules.guests = first...last
            } else {
                problems.add(
                    range.position, "drill: guests ends before it begins",
                    hint: "write from: \(last), to: \(first)")
            }
        }
        return rules
    }

    func absolute(_ path: String) -> String {
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
