import Model

extension ConfigurationDocument {
    func recovery(_ rules: RecoveryRules) -> JSONValue {
        .members([
            "jobs": .integer(Int64(rules.jobs)),
            "jobs_per_disk": rules.jobsPerDisk.map { .integer(Int64($0)) },
            "downloads": .integer(Int64(rules.downloads)),
        ])
    }

    func drill(_ rules: DrillRules) -> JSONValue {
        .members([
            "every": rules.isWanted ? span(rules.interval) : nil,
            "directory": .string(rules.directory), "sample": .integer(Int64(rules.sample)),
            "guests": rules.guests.map {
                [
                    "from": .integer(Int64($0.lowerBound)), "to": .integer(Int64($0.upperBound)),
                ]
            },
        ])
    }

    func manual(_ step: ManualStep) -> JSONValue {
        ["message": .string(step.message), "when": .string(step.moment.rawValue)]
    }

    var targets: JSONValue? {
        if configuration.targets.isEmpty { return nil }
        return .object(configuration.targets.map { JSONMember($0.name, target($0)) })
    }

    private func target(_ place: TargetPlace) -> JSONValue {
        let ports = Dictionary(
            uniqueKeysWithValues: place.ports.map { ("\($0.key)", "\($0.value)") })
        if place.isIsolated == true {
            return .members([
                "isolated": .bool(true),
                "docker": place.engine.map { ["host": .string($0)] },
                "root": place.root.map { .string($0) },
            ])
        }
        return .members([
            "docker": place.engine.map { ["host": .string($0)] },
            "names": place.isBeside
                ? JSONValue.members([
                    "prefix": place.prefix.isEmpty ? nil : .string(place.prefix),
                    "map": pairs(place.names),
                ]) : nil,
            "ports": .members([
                "offset": .integer(Int64(place.portOffset)), "map": pairs(ports),
            ]),
            "root": place.root.map { .string($0) }, "subnets": pairs(place.subnets),
            "hosts": pairs(place.hosts), "address": place.address.map { .string($0) },
            "postgres": pairs(place.servers),
            "labels": .string(place.keepsLabels ? "keep" : "compose"),
        ])
    }

    private func pairs(_ map: [String: String]) -> JSONValue? {
        if map.isEmpty { return nil }
        return .object(
            map.sorted { $0.key < $1.key }.map { JSONMember($0.key, .string($0.value)) })
    }
}
