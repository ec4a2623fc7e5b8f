/// Every key of `dr.yaml`: the one description that reading, errors, the JSON Schema and the
/// reference documentation come from.
enum ConfigurationShape {
    static let root = RecordShape(
        keys: [
            repositoryKey, copiesKey,
            KeyShape(
                name: "catalog", shape: .text(.path),
                summary: "The directory for the index of the backups on this machine",
                absent: "`$XDG_STATE_HOME/dr`, else `/var/lib/dr` for root, else "
                    + "`~/.local/state/dr`",
                example: "/var/lib/dr"),
            KeyShape(
                name: "objectives", shape: .record(objectives),
                summary: "Objectives of every service that sets none of its own",
                absent: "none", example: "{rto: 1h, rpo: 24h}"),
            KeyShape(
                name: "retention", shape: .record(retention),
                summary: "Which snapshots are kept; what no rule keeps may be removed",
                absent: "every snapshot is kept", example: "{daily: 7, weekly: 4, monthly: 12}"),
            KeyShape(
                name: "docker", shape: .record(engine),
                summary: "The Docker Engine that containers and volumes are looked for in",
                absent: "`DOCKER_HOST`, else the Docker context, else `/var/run/docker.sock`",
                example: "{host: \"unix:///var/run/docker.sock\"}"),
            KeyShape(
                name: "compression", shape: .record(compression),
                summary: "How hard data is compressed", absent: "level 3", example: "{level: 3}"),
            KeyShape(
                name: "backup", shape: .record(night), summary: "How `dr backup` does its work",
                absent: "each key's own default", example: "{jobs: 4, deadline: 6h}"),
            recoveryKey, drillKey, contactsKey, commonPlausibilityKey, notifyKey, metricsKey,
            powerKey,
            KeyShape(
                name: "services", shape: .named(service),
                summary: "What you want back, by names of your choice", absent: "none",
                example: "{site: {files: [/srv/www]}}"),
            targetsKey,
        ])

    private static let objectives = RecordShape(keys: [rto, rpo])

    private static let rto = KeyShape(
        name: "rto", shape: .span,
        summary: "Longest outage that is acceptable, until the service answers again",
        absent: "no objective", example: "1h")

    private static let rpo = KeyShape(
        name: "rpo", shape: .span,
        summary: "Oldest state that is acceptable to come back to", absent: "no objective",
        example: "24h")

    private static let retention = RecordShape(keys: [
        count("last", "How many of the newest snapshots are kept, whatever their age"),
        count("daily", "For how many days the newest snapshot of each is kept"),
        count("weekly", "For how many weeks the newest snapshot of each is kept"),
        count("monthly", "For how many months the newest snapshot of each is kept"),
        count("yearly", "For how many years the newest snapshot of each is kept"),
        KeyShape(
            name: "within", shape: .span, summary: "Every snapshot younger than this is kept",
            absent: "no such rule", example: "48h"),
    ])

    private static func count(_ name: String, _ summary: String) -> KeyShape {
        KeyShape(
            name: name, shape: .integer(0...100_000), summary: summary, absent: "0", example: "7")
    }

    static let engine = RecordShape(keys: [
        KeyShape(
            name: "host", shape: .text(.dockerAddress), summary: "The Engine's socket",
            isRequired: true, example: "unix:///var/run/docker.sock")
    ])

    private static let compression = RecordShape(keys: [
        KeyShape(
            name: "level", shape: .integer(1...19),
            summary: "Zstandard's level; above 9 it is slow and gains little", absent: "3",
            example: "3")
    ])
}

extension ConfigurationShape {
    private static let service = RecordShape(
        keys: workloads + [
            KeyShape(
                name: "after", shape: .oneOrMore(.text(.name)),
                summary: "Services that must be healthy before this one is brought back",
                absent: "none", example: "[umami-db]"),
            KeyShape(
                name: "check", shape: .oneOrMore(.record(check)),
                summary: "What must hold before the service counts as back; all of them",
                absent: "bytes and proofs alone decide",
                example: "{http: \"http://127.0.0.1:3000/api/heartbeat\"}"),
            KeyShape(
                name: "manual", shape: .oneOrMore(.record(manual)),
                summary: "What a person does by hand during a restore; it waits for them",
                absent: "nothing",
                example: "{message: \"let stats.example.org point at this machine\"}"),
            assertions(check),
            rto, rpo,
            KeyShape(
                name: "consistency", shape: .choice(["live", "pause", "stop"]),
                summary: "What happens to the service's containers while their data is read",
                absent: "live", example: "pause"),
            KeyShape(
                name: "group", shape: .text(.name),
                summary: "Services of one group are captured at one moment", absent: "none",
                example: "shop"),
            KeyShape(
                name: "allow_empty", shape: .flag,
                summary: "An empty dump, volume or tree is as it should be", absent: "false",
                example: "true"),
            KeyShape(
                name: "retention", shape: .record(retention),
                summary: "Which of its snapshots are kept, instead of the common rule",
                absent: "the common `retention`", example: "{last: 3, within: 14d}"),
            hooksKey, priorityKey, timeoutKey, plausibilityKey,
        ],
        atLeastOne: workloads.map(\.name), later: ["k3s"])

    private static let workloads = [
        KeyShape(
            name: "docker", shape: .record(docker),
            summary: "A container, a Compose project or a volume, with all its data",
            example: "{container: umami}"),
        KeyShape(
            name: "postgres", shape: .record(postgres),
            summary: "A PostgreSQL server: its roles and its databases",
            example: "{container: umami-db}"),
        mariadbKey,
        KeyShape(
            name: "files", shape: .listOrRecord(.text(.path), files),
            summary: "Directories and files", example: "[/srv/www, /etc/caddy]"),
        KeyShape(
            name: "sqlite", shape: .oneOrMore(.text(.path)),
            summary: "SQLite database files, saved as one moment while they are in use",
            example: "/srv/vaultwarden/db.sqlite3",
            insteadOfMapping: "write paths of this machine; of another one save what its own "
                + "sqlite3 copies, with command: and host:"),
        KeyShape(
            name: "command", shape: .record(command),
            summary: "A program whose output is the data",
            example: "{name: ldap, capture: slapcat, restore: slapadd}"),
        proxmoxKey,
    ]

    private static let docker = RecordShape(
        keys: [
            KeyShape(
                name: "container", shape: .text(.any), summary: "A container by its name",
                example: "umami"),
            KeyShape(
                name: "project", shape: .text(.any),
                summary: "A Compose project by its name: all its containers", example: "umami"),
            KeyShape(
                name: "volume", shape: .text(.any), summary: "A volume by its name",
                example: "umami_data"),
            KeyShape(
                name: "host", shape: .text(.dockerAddress),
                summary: "The Engine that has it, where that is not the common one",
                absent: "the common `docker`", example: "\"ssh://root@nas.example.org\""),
            KeyShape(
                name: "image", shape: .choice(["when-local", "save", "never"]),
                summary: "Whether the image itself is saved; `when-local` if no registry has it",
                absent: "when-local", example: "save"),
            KeyShape(
                name: "exclude", shape: .oneOrMore(.text(.any)),
                summary: "Volumes, and mount points in the container, whose data is left out",
                absent: "none", example: "[/cache]"),
            KeyShape(
                name: "consistency", shape: .choice(["live", "pause", "stop"]),
                summary: "The same as the service's own `consistency`",
                absent: "the service's", example: "stop"),
        ],
        exactlyOne: ["container", "project", "volume"])

    private static let postgres = RecordShape(
        keys: [
            KeyShape(
                name: "container", shape: .text(.any),
                summary: "The server's container; its own client programs are used",
                example: "umami-db"),
            KeyShape(
                name: "url", shape: .text(.postgresAddress),
                summary: "The server's address, without a password",
                example: "\"postgresql://postgres@/postgres?host=/run/postgresql\""),
            serverHostKey("url"),
            KeyShape(
                name: "databases", shape: .oneOrMore(.text(.any)),
                summary: "The databases to save", absent: "all that allow connections",
                example: "[umami]"),
            KeyShape(
                name: "user", shape: .text(.any), summary: "The superuser to connect as",
                absent: "the container's `POSTGRES_USER`, the address's user, else `postgres`",
                example: "postgres"),
        ]
            + KeyShape.secret(
                "password", "the password", absent: "no password", example: "umami-db"),
        exactlyOne: ["container", "url"], atMostOne: KeyShape.secretNames("password"))

    private static let files = RecordShape(keys: [
        KeyShape(
            name: "paths", shape: .oneOrMore(.text(.path)), summary: "Directories and files",
            isRequired: true, example: "[/srv/www]"),
        KeyShape(
            name: "exclude", shape: .oneOrMore(.text(.glob)),
            summary: "Patterns of whole paths that are left out; `**` crosses directories",
            absent: "none", example: "[\"**/node_modules\", \"/srv/www/cache/*\"]"),
        KeyShape(
            name: "one_file_system", shape: .flag,
            summary: "Leave out what is mounted below a path", absent: "true", example: "false"),
        KeyShape(
            name: "restore_to", shape: .text(.path),
            summary: "Where a restore to this machine puts them, instead of where they were: "
                + "beside a running system, not over it",
            absent: "their own places", example: "/var/lib/dr/restored"),
        hostKey("The machine that has them; GNU tar reads and writes them there"),
    ])

    private static let command = RecordShape(keys: [
        KeyShape(
            name: "name", shape: .text(.name),
            summary: "Names the data; changing it begins a new history", absent: "command",
            example: "ldap"),
        KeyShape(
            name: "capture", shape: .words,
            summary: "Writes the data to standard output and ends with 0; runs without a shell",
            isRequired: true, example: "[slapcat, -n, \"1\"]"),
        KeyShape(
            name: "restore", shape: .words,
            summary: "Reads the data from standard input and ends with 0; runs without a shell",
            absent: "the data can only be restored to a directory",
            example: "[slapadd, -n, \"1\"]"),
        hostKey("The machine on which both programs run"),
    ])

    /// - Parameter address: The key beside which it is a machine, and not an Engine.
    static func serverHostKey(_ address: String) -> KeyShape {
        KeyShape(
            name: "host", shape: .text(.dockerAddress),
            summary: "The Engine that has the container, or the machine on which the client "
                + "programs run and from which `\(address)` is reached",
            absent: "the common `docker`, or this machine",
            example: "\"ssh://root@db.example.org\"")
    }

    private static func hostKey(_ summary: String) -> KeyShape {
        KeyShape(
            name: "host", shape: .text(.machine), summary: summary, absent: "this machine",
            example: "\"ssh://root@nas.example.org\"")
    }

    private static let manual = RecordShape(keys: [
        KeyShape(
            name: "message", shape: .text(.any), summary: "What is to be done, for that person",
            isRequired: true, example: "\"let stats.example.org point at this machine\""),
        KeyShape(
            name: "when", shape: .choice(["before", "after"]),
            summary: "`before` anything of the service is brought back, or `after`, when all of it "
                + "runs and its checks come next", absent: "after", example: "before"),
    ])

    private static let check = RecordShape(
        keys: [
            KeyShape(
                name: "http", shape: .text(.webAddress), summary: "An address that must answer",
                example: "\"http://127.0.0.1:3000/api/heartbeat\""),
            KeyShape(
                name: "expect", shape: .integer(100...599),
                summary: "The status it must answer with; only with `http`", absent: "200",
                example: "204"),
            KeyShape(
                name: "body", shape: .text(.any),
                summary: "A text that the answer must hold; only with `http`",
                absent: "any answer will do", example: "\"ok\""),
            KeyShape(
                name: "tcp", shape: .text(.hostAndPort),
                summary: "A host and port that must accept a connection",
                example: "\"127.0.0.1:5432\""),
            KeyShape(
                name: "command", shape: .words,
                summary: "A program that must end with 0; runs without a shell",
                example: "[systemctl, is-active, caddy]"),
            KeyShape(
                name: "container", shape: .text(.any),
                summary: "A container that must run, and be healthy if it has a health check",
                example: "umami"),
            KeyShape(
                name: "sql", shape: .text(.any),
                summary: "A query to the service's PostgreSQL server; its first value must be "
                    + "neither empty, false nor 0",
                example: "\"SELECT count(*) FROM customer\""),
            KeyShape(
                name: "database", shape: .text(.any),
                summary: "The database that is asked; only with `sql`",
                absent: "the server's first one", example: "shop"),
            KeyShape(
                name: "timeout", shape: .span,
                summary: "How long to go on trying before the check has failed", absent: "2m",
                example: "5m"),
        ],
        exactlyOne: ["http", "tcp", "command", "container", "sql"])
}
