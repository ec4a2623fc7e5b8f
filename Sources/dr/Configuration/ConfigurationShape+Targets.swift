// How restores go, and where else to: the keys of `restore:` and `targets:`.
extension ConfigurationShape {
    static let recoveryKey = KeyShape(
        name: "restore", shape: .record(recovery), summary: "How much `dr restore` does at once",
        absent: "each key's own default", example: "{jobs: 4, jobs_per_disk: 1}")

    private static let recovery = RecordShape(keys: [
        KeyShape(
            name: "jobs", shape: .integer(1...64),
            summary: "How many volumes, databases and trees are written at once", absent: "4",
            example: "4"),
        KeyShape(
            name: "jobs_per_disk", shape: .integer(1...64),
            summary: "How many of these are written to one disk at once; 1 spares the heads of a "
                + "hard disk", absent: "no limit of its own", example: "1"),
        KeyShape(
            name: "downloads", shape: .integer(1...64),
            summary: "How many images are pulled at once", absent: "2", example: "1"),
    ])

    static let targetsKey = KeyShape(
        name: "targets", shape: .named(target),
        summary: "Other places that `dr restore --to NAME` brings services back to",
        absent: "this machine (`--to here`) and directories only",
        example: "{standby: {names: {prefix: standby-}, ports: {offset: 10000}}}")

    private static let target = RecordShape(keys: [
        KeyShape(
            name: "isolated", shape: .flag,
            summary: "Only for `dr drill`: names of its own, networks that lead nowhere, no port",
            absent: "false", example: "true"),
        KeyShape(
            name: "docker", shape: .record(engine),
            summary: "The Docker Engine that containers and volumes are made in",
            absent: "the one that they were captured from",
            example: "{host: \"unix:///run/standby/docker.sock\"}"),
        KeyShape(
            name: "names", shape: .record(names),
            summary: "What containers, volumes, networks and Compose projects are called there; "
                + "with it nothing of the originals is touched",
            absent: "as they were", example: "{prefix: standby-}"),
        KeyShape(
            name: "ports", shape: .record(ports),
            summary: "The numbers of ports that containers publish there", absent: "as they were",
            example: "{offset: 10000}"),
        KeyShape(
            name: "root", shape: .text(.path),
            summary: "The directory below which files and bind mounts come back",
            absent: "where they were", example: "/srv/standby"),
        KeyShape(
            name: "subnets", shape: .pairs(.subnet, .subnet),
            summary: "Addresses of networks there, by the ones they stand for; containers with an "
                + "address of their own keep its last part",
            absent: "beside the originals the Engine chooses, else as they were",
            example: "{172.31.5.0/24: 172.31.105.0/24}"),
        KeyShape(
            name: "hosts", shape: .pairs(.any, .any),
            summary: "Addresses that containers publish ports on, and machines that have files or "
                + "that checks ask, by the ones they stand for",
            absent: "ports as they were; checks ask `address`",
            example: "{192.0.2.10: 127.0.0.1}"),
        KeyShape(
            name: "address", shape: .text(.any),
            summary: "The machine whose ports checks ask, whatever their addresses say",
            absent: "the machine of the Docker Engine", example: "127.0.0.1"),
        KeyShape(
            name: "postgres", shape: .pairs(.name, .postgresAddress),
            summary: "PostgreSQL servers there, for services whose server is named by an address",
            absent: "these services do not come back there",
            example: "{shop-db: \"postgresql://postgres@standby.example.org/postgres\"}"),
        KeyShape(
            name: "labels", shape: .choice(["compose", "keep"]),
            summary: "Which labels containers have there under other names: others may act on them",
            absent: "those of Compose", example: "keep"),
    ])

    private static let names = RecordShape(keys: [
        KeyShape(
            name: "prefix", shape: .text(.name), summary: "Put before every name",
            absent: "nothing", example: "standby-"),
        KeyShape(
            name: "map", shape: .pairs(.any, .name),
            summary: "Names given one by one, without the prefix", absent: "none",
            example: "{umami: umami-copy}"),
    ])

    private static let ports = RecordShape(keys: [
        KeyShape(
            name: "offset", shape: .integer(-65_000...65_000),
            summary: "Added to every number", absent: "0", example: "10000"),
        KeyShape(
            name: "map", shape: .pairs(.port, .port), summary: "Numbers given one by one",
            absent: "none", example: "{443: 8443}"),
    ])
}
