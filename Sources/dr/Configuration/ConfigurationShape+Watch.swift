// Who is told how nights went, and what else watches over them.
extension ConfigurationShape {
    static let notifyKey = KeyShape(
        name: "notify", shape: .oneOrMore(.record(receiver)),
        summary: "Who is told how runs went", absent: "nobody",
        example: "{ntfy: \"https://ntfy.example.org/backups\"}")

    static let metricsKey = KeyShape(
        name: "metrics", shape: .text(.path),
        summary: "A file, ending in `.prom`, in the directory that Prometheus' node_exporter reads",
        absent: "none", example: "/var/lib/prometheus/node-exporter/dr.prom")

    static let powerKey = KeyShape(
        name: "power", shape: .record(power),
        summary: "On battery no run begins, and one under way ends in order when it runs low",
        absent: "nobody is asked", example: "{ups: eaton@localhost}")

    private static let receiver = RecordShape(
        keys: [
            KeyShape(
                name: "ntfy", shape: .text(.receiver), summary: "The address of an ntfy topic",
                example: "\"https://ntfy.example.org/backups\""),
            KeyShape(
                name: "discord", shape: .text(.receiver),
                summary: "A Discord webhook; its last part may stand in a token",
                example: "\"https://discord.com/api/webhooks/1234\""),
            KeyShape(
                name: "slack", shape: .text(.receiver),
                summary: "A Slack webhook; its last part may stand in a token",
                example: "\"https://hooks.slack.com/services/T00/B00\""),
            KeyShape(
                name: "gotify", shape: .text(.receiver),
                summary: "The address of a Gotify server; needs a token",
                example: "\"https://gotify.example.org\""),
            KeyShape(
                name: "webhook", shape: .text(.receiver),
                summary: "An address that takes JSON: `host`, `title`, `events`, `lines`, `bad`",
                example: "\"https://example.org/hooks/dr\""),
            KeyShape(
                name: "mail", shape: .text(.mailAddress),
                summary: "A person, by the machine's own `sendmail`", example: "root@example.org"),
            KeyShape(
                name: "healthchecks", shape: .text(.receiver),
                summary: "A check of healthchecks.io or its like: told of every start, success and "
                    + "failure; its last part may stand in a token",
                example: "\"https://hc-ping.com\""),
            KeyShape(
                name: "on",
                shape: .oneOrMore(
                    .choice(["failure", "suspicious", "overdue", "recovered", "success"])),
                summary: "What is worth a message; has no meaning with `healthchecks`",
                absent: "failure, suspicious, overdue and recovered", example: "[failure, overdue]"),
        ] + KeyShape.secret("token", "the token", absent: "no token", example: "ntfy"),
        exactlyOne: ["ntfy", "discord", "slack", "gotify", "webhook", "mail", "healthchecks"],
        atMostOne: KeyShape.secretNames("token"))

    private static let power = RecordShape(keys: [
        KeyShape(
            name: "ups", shape: .text(.any),
            summary: "The power supply as NUT's `upsc` takes it", isRequired: true,
            example: "eaton@localhost"),
        KeyShape(
            name: "interval", shape: .span, summary: "How often it is asked during a run",
            absent: "30s", example: "10s"),
    ])
}
