// Drills and the runbook: the keys of `drill:` and `contacts:`.
extension ConfigurationShape {
    static let drillKey = KeyShape(
        name: "drill", shape: .record(drill),
        summary: "How `dr drill` proves that the backups restore, and how often it has to",
        absent: "each key's own default", example: "{every: 90d}")

    private static let drill = RecordShape(keys: [
        KeyShape(
            name: "every", shape: .span,
            summary: "How long a drill counts; when it is over, `dr status` fails",
            absent: "90 days, and `dr status` only tells", example: "90d"),
        KeyShape(
            name: "directory", shape: .text(.path),
            summary: "Where drills put copies of files and bind mounts while they last",
            absent: "/var/tmp", example: "/srv/drills"),
        KeyShape(
            name: "sample", shape: .integer(0...100_000),
            summary: "How many files of each tree are compared with the repository, byte for byte",
            absent: "32", example: "200"),
        KeyShape(
            name: "guests", shape: .record(guests),
            summary: "The numbers that copies of Proxmox VE's guests get in drills",
            absent: "guests are no part of drills", example: "{from: 9900, to: 9999}"),
    ])

    private static let guests = RecordShape(keys: [
        KeyShape(
            name: "from", shape: .integer(100...999_999_999), summary: "The first of them",
            isRequired: true, example: "9900"),
        KeyShape(
            name: "to", shape: .integer(100...999_999_999), summary: "The last of them",
            isRequired: true, example: "9999"),
    ])

    static let contactsKey = KeyShape(
        name: "contacts", shape: .oneOrMore(.text(.any)),
        summary: "Who is called in an incident, for the runbook", absent: "nobody is named",
        example: "[\"Ada, +49 30 901820\", \"provider: https://status.example.org\"]")

    /// Of a service.
    static func assertions(_ check: RecordShape) -> KeyShape {
        KeyShape(
            name: "drill", shape: .oneOrMore(.record(check)),
            summary: "What must hold in a drill beside its checks; asked of the copy alone",
            absent: "its checks and the proofs of its data",
            example: "{sql: \"SELECT max(id) > 1000 FROM purchase\", database: shop}")
    }
}
