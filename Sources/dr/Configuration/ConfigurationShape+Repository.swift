// Where backups go: the keys of `repository:` and `copies:`.
extension ConfigurationShape {
    static let repositoryKey = KeyShape(
        name: "repository", shape: .textOrRecord(.repository, repository),
        summary: "Where the backups are: a directory, a bucket (`s3:https://host/bucket/prefix`) "
            + "or a directory that ssh reaches (`sftp:user@host:/path`)",
        isRequired: true, example: "/srv/dr")

    static let copiesKey = KeyShape(
        name: "copies", shape: .named(copy),
        summary: "Other repositories, made with `dr init --copy NAME`, that every `dr backup` "
            + "copies to at its end; `dr copy` does it at any time",
        absent: "none",
        example: "{offsite: {place: \"sftp:dr@backup.example.org:/srv/dr\"}}")

    private static let repository = RecordShape(keys: place)

    private static let copy = RecordShape(
        keys: place
            + KeyShape.secret(
                "password", "the password of this copy", absent: "the repository's own password",
                example: "offsite") + [
                KeyShape(
                    name: "key_file", shape: .text(.path),
                    summary: "A file with a key of this copy, instead of a password",
                    absent: "a password", example: "/etc/dr/offsite.key")
            ],
        atMostOne: KeyShape.secretNames("password") + ["key_file"])

    private static let place = [
        KeyShape(
            name: "place", shape: .text(.repository),
            summary: "A directory, or an address like `s3:https://host/bucket/prefix` or "
                + "`sftp:user@host:/path`",
            isRequired: true, example: "s3:https://s3.example.org/backups/web"),
        KeyShape(
            name: "endpoint", shape: .text(.webAddress),
            summary: "Where the store of `s3://bucket/prefix` answers",
            absent: "what the address says, else Amazon's in the region",
            example: "https://s3.example.org"),
        KeyShape(
            name: "region", shape: .text(.any), summary: "The bucket's region",
            absent: "`AWS_REGION`, else what the endpoint's name says, else `us-east-1`",
            example: "eu-central-1"),
        KeyShape(
            name: "style", shape: .choice(["path", "host"]),
            summary: "Where requests name the bucket: in the path, or before the host's name",
            absent: "`host` for Amazon, else `path`", example: "path"),
        KeyShape(
            name: "credentials_file", shape: .text(.path),
            summary: "A file with `aws_access_key_id` and `aws_secret_access_key`, as in "
                + "`~/.aws/credentials`",
            absent: "`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, else `~/.aws/credentials`",
            example: "/etc/dr/s3.credentials"),
        KeyShape(
            name: "profile", shape: .text(.any), summary: "Which profile of that file",
            absent: "`AWS_PROFILE`, else `default`", example: "backups"),
        KeyShape(
            name: "ca_file", shape: .text(.path),
            summary: "Certificates in PEM that the store is trusted by",
            absent: "the system's", example: "/etc/ssl/own-ca.pem"),
        KeyShape(
            name: "deadline", shape: .span,
            summary: "How long a call is tried again when the store does not answer or is too "
                + "busy; then the run ends",
            absent: "5m", example: "10m"),
        KeyShape(
            name: "connections", shape: .integer(1...64),
            summary: "Most calls to the store at once", absent: "16", example: "8"),
        KeyShape(
            name: "upload_limit", shape: .integer(1...100_000_000),
            summary: "Most KiB a second that are sent to a bucket or over SSH", absent: "no limit",
            example: "2048"),
        KeyShape(
            name: "download_limit", shape: .integer(1...100_000_000),
            summary: "Most KiB a second that are fetched from there", absent: "no limit",
            example: "2048"),
        KeyShape(
            name: "cache_limit", shape: .integer(0...1_000_000),
            summary: "Most MiB of what is read again and again from a bucket or over SSH that are "
                + "kept on this machine, sealed as they are there; 0 for none",
            absent: "256", example: "1024"),
        KeyShape(
            name: "retain_for", shape: .span,
            summary: "How long the bucket lets nobody delete or replace what was stored; it must "
                + "have been made with object lock",
            absent: "no lock but the bucket's own", example: "30d"),
        KeyShape(
            name: "retain_mode", shape: .choice(["governance", "compliance"]),
            summary: "Whether keys with a right of their own may end that early, or nobody",
            absent: "governance", example: "compliance"),
    ]
}
