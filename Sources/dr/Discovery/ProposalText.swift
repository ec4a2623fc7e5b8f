import Model
import Workloads

/// What `dr discover` found, as a configuration with comments that runs as it is.
struct ProposalText {
    var discovery: Discovery
    /// Lines of comment before everything.
    var title: [String]
    /// Where the backups go.
    var repository: String
    var repositoryRemarks: [String]
    /// Only services: what an existing configuration lacks.
    var onlyServices = false

    var yaml: String {
        var lines = title.map { "# \($0)" }
        if !onlyServices {
            lines.append("")
            lines += repositoryRemarks.flatMap { Self.comment($0, indent: 0) }
            lines.append("repository: \(Self.text(repository))")
            lines.append(
                "# Longest outage, oldest data that is acceptable: dr plan, dr report and dr status "
                    + "measure against it.")
            lines.append("objectives: {rto: 1h, rpo: 24h}")
            lines.append("# dr backup forgets the others; dr prune frees their space.")
            lines.append("retention: {daily: 7, weekly: 4, monthly: 12}")
            if let engine = discovery.engine {
                lines.append("docker: {host: \(Self.text(engine))}")
            }
        }
        lines += ["", "services:"]
        if discovery.services.isEmpty { lines.append("  # nothing was found that could be saved") }
        for (index, service) in discovery.services.enumerated() {
            if index > 0 { lines.append("") }
            lines += text(of: service)
        }
        if !discovery.leftOut.isEmpty {
            lines += ["", "# Left out:"]
            lines += discovery.leftOut.flatMap { Self.comment("- \($0)", indent: 0) }
        }
        if !discovery.problems.isEmpty {
            lines += ["", "# Not looked at:"]
            lines += discovery.problems.flatMap { Self.comment("- \($0)", indent: 0) }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func text(of service: ProposedService) -> [String] {
        var lines = service.remarks.flatMap { Self.comment($0, indent: 1) }
        lines.append("  \(service.name):")
        func add(_ key: String, _ value: JSONValue, _ remark: String? = nil) {
            lines.append("    \(key): \(value.flow)\(remark.map { "    # \($0)" } ?? "")")
        }
        if let docker = service.docker { add("docker", self.docker(docker)) }
        switch service.server {
        case .postgres(let specification):
            add("postgres", postgres(specification))
        case .mariadb(let specification):
            add("mariadb", mariadb(specification))
        case nil: break
        }
        if let files = service.files { add("files", self.files(files)) }
        if let guest = service.guest {
            add("proxmox", ["vm": .integer(Int64(guest.number))])
        }
        if let command = service.command { add("command", self.command(command)) }
        if !service.after.isEmpty {
            for need in service.after {
                lines.append("    # after \(need.service): \(need.reason)")
            }
            add("after", .strings(service.after.map(\.service)))
        }
        if service.consistency != .live {
            add("consistency", .string(service.consistency.rawValue))
        }
        if let reason = service.emptiness { add("allow_empty", .bool(true), reason) }
        if let container = service.check {
            add("check", ["container": .string(container)])
        }
        return lines
    }

    private func docker(_ docker: DockerSpecification) -> JSONValue {
        let subject: JSONMember =
            switch docker.subject {
            case .container(let name): JSONMember("container", .string(name))
            case .project(let name): JSONMember("project", .string(name))
            case .volume(let name): JSONMember("volume", .string(name))
            }
        let excluded = docker.excludedMounts
        return .object(
            [subject] + (excluded.isEmpty ? [] : [JSONMember("exclude", .strings(excluded))]))
    }

    private func postgres(_ postgres: PostgresSpecification) -> JSONValue {
        switch postgres.server {
        case .container(let name, _): ["container": .string(name)]
        case .url(let url): ["url": .string(url)]
        }
    }

    private func mariadb(_ mariadb: MariaDBSpecification) -> JSONValue {
        switch mariadb.server {
        case .container(let name, _): ["container": .string(name)]
        case .address(let address): ["address": .string(address)]
        }
    }

    private func files(_ files: FilesSpecification) -> JSONValue {
        .members([
            "paths": .strings(files.paths),
            "exclude": files.exclude.isEmpty ? nil : .strings(files.exclude),
            "restore_to": files.restoreTo.map { .string($0) },
        ])
    }

    private func command(_ command: CommandSpecification) -> JSONValue {
        .members([
            "name": .string(command.name), "capture": .strings(command.capture),
            "restore": command.restore.map { .strings($0) },
        ])
    }

    private static func text(_ text: String) -> String { JSONValue.string(text).flow }

    /// A comment in lines of at most 100 columns.
    private static func comment(_ text: String, indent: Int) -> [String] {
        let margin = String(repeating: "  ", count: indent) + "# "
        var lines: [String] = []
        let leading = String(text.prefix { $0 == " " })
        var line = leading
        for word in text.split(separator: " ") {
            if line.count > leading.count, margin.count + line.count + word.count + 1 > 100 {
                lines.append(margin + line)
                line = leading + "  "
            }
            line += line.count > leading.count && !line.hasSuffix(" ") ? " \(word)" : "\(word)"
        }
        lines.append(margin + line)
        return lines
    }
}
