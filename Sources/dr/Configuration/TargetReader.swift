import Model

/// Makes a ``Model/TargetPlace`` of one entry of `targets:`.
struct TargetReader {
    var absolute: (String) -> String

    func target(
        _ name: String, at position: TextPosition, _ value: ConfigurationValue,
        problems: inout ProblemList
    ) -> TargetPlace {
        var place = TargetPlace(name: name)
        if name == "here" {
            problems.add(
                position, "a target cannot be called here: that is this machine",
                hint: "give it another name")
        }
        place.engine = value["docker"]?["host"]?.text
        place.prefix = value["names"]?["prefix"]?.text ?? ""
        place.names = pairs(value["names"]?["map"])
        for (text, number) in pairs(value["ports"]?["map"]) {
            guard let old = Int(text), let new = Int(number) else { continue }
            place.ports[old] = new
        }
        place.portOffset = value["ports"]?["offset"]?.integer ?? 0
        place.root = value["root"]?.text.map(absolute).flatMap { $0 == "/" ? nil : $0 }
        place.subnets = pairs(value["subnets"])
        place.hosts = pairs(value["hosts"])
        place.address = value["address"]?.text
        place.servers = pairs(value["postgres"])
        place.keepsLabels = value["labels"]?.text == "keep"
        let path = "targets.\(name)"
        if value["isolated"]?.flag == true {
            place.isIsolated = true
            for key in Self.ownNames {
                guard let entry = value[key] else { continue }
                problems.add(
                    entry.position, "\(path).\(key) has no meaning beside isolated",
                    hint: "remove it: each drill has names of its own")
            }
        }
        refuseTwins(value["names"]?["map"], "\(path).names.map", problems: &problems)
        refuseTwins(value["ports"]?["map"], "\(path).ports.map", problems: &problems)
        for entry in value["subnets"]?.entries ?? [] {
            let size = { (text: String?) in text?.split(separator: "/").last }
            guard size(entry.name) != size(entry.value.text) else { continue }
            problems.add(
                entry.position, "\(path).subnets: \(entry.name) and its counterpart differ in size",
                hint: "write the same number after the slash")
        }
        return place
    }

    /// What a drill chooses by itself.
    private static let ownNames = [
        "names", "ports", "subnets", "hosts", "address", "postgres", "labels",
    ]

    private func pairs(_ value: ConfigurationValue?) -> [String: String] {
        Dictionary(
            (value?.entries ?? []).compactMap { entry in
                entry.value.text.map { (entry.name, $0) }
            }
        ) { first, _ in first }
    }

    /// Two things cannot have one name.
    private func refuseTwins(
        _ value: ConfigurationValue?, _ path: String, problems: inout ProblemList
    ) {
        var taken: [String: String] = [:]
        for entry in value?.entries ?? [] {
            guard let text = entry.value.text,
                let other = taken.updateValue(entry.name, forKey: text)
            else { continue }
            problems.add(
                entry.position, "\(path): \(other) and \(entry.name) would both be \(text)",
                hint: "give one of them another value")
        }
    }
}
