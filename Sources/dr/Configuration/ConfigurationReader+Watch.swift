import Model

extension ConfigurationReader {
    /// The keys that concern those who watch.
    func watch(
        _ value: ConfigurationValue, _ services: ServiceReader,
        _ configuration: inout Configuration, problems: inout ProblemList
    ) {
        configuration.metrics = value["metrics"]?.text.map(absolute)
        if let metrics = value["metrics"], configuration.metrics?.hasSuffix(".prom") == false {
            problems.add(
                metrics.position, "metrics must end in .prom: node_exporter reads no other file",
                hint: "write for example /var/lib/prometheus/node-exporter/dr.prom")
        }
        if let supply = value["power"]?["ups"]?.text {
            var power = PowerRules(supply: supply)
            power.interval = value["power"]?["interval"]?.span ?? power.interval
            if supply.hasPrefix("-") {
                problems.add(
                    value["power"]?.position ?? .start, "power.ups is no name of a power supply",
                    hint: "upsc -l lists them")
            }
            configuration.power = power
        }
        for item in value["notify"]?.items ?? [] {
            if let receiver = receiver(item, services, problems: &problems) {
                configuration.notify.append(receiver)
            }
        }
    }

    private func receiver(
        _ value: ConfigurationValue, _ services: ServiceReader, problems: inout ProblemList
    ) -> NotificationReceiver? {
        let kinds = NotificationReceiver.Kind.allCases
        guard let kind = kinds.first(where: { value[$0.rawValue] != nil }),
            let address = value[kind.rawValue]?.text
        else { return nil }
        var receiver = NotificationReceiver(kind, address)
        receiver.token = services.secret(value, "token")
        if kind == .gotify, receiver.token == nil {
            problems.add(
                value.position, "notify: gotify takes no message without a token",
                hint: "add token_file with the token of an application")
        }
        if kind == .mail, receiver.token != nil {
            problems.add(
                value.position, "notify: a token has no meaning for mail", hint: "remove it")
        }
        if let events = value["on"] {
            receiver.events = Set(events.texts.compactMap(NotificationEvent.init(rawValue:)))
        }
        return receiver
    }
}

extension ConfigurationDocument {
    func notify(_ receivers: [NotificationReceiver]) -> JSONValue? {
        if receivers.isEmpty { return nil }
        return .array(
            receivers.map { receiver in
                var members = [JSONMember(receiver.kind.rawValue, .string(receiver.address))]
                if let token = receiver.token { members.append(secret(token, "token")) }
                let events = NotificationEvent.allCases.filter(receiver.events.contains)
                members.append(JSONMember("on", .strings(events.map(\.rawValue))))
                return .object(members)
            })
    }

    func power(_ rules: PowerRules) -> JSONValue {
        ["ups": .string(rules.supply), "interval": value(rules.interval)]
    }
}
