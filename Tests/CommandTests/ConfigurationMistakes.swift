import Testing

/// A configuration that is wrong, and what dr says about it: `place: message | hint`, word for word.
struct ConfigurationMistake: Sendable, CustomTestStringConvertible {
    var name: String
    var text: String
    var complaints: [String]
    var testDescription: String { name }

    init(_ name: String, _ text: String, _ complaints: String...) {
        self.name = name
        self.text = text
        self.complaints = complaints
    }
}

extension ConfigurationMistake {
    static let ofMeaning = ofKeys + ofValues + ofRelations

    private static let ofKeys = [
        ConfigurationMistake(
            "a typing error", "repository: /r\nretentoin: {daily: 7}",
            "dr.yaml:2:1: unknown key \"retentoin\" | did you mean \"retention\"?"),
        ConfigurationMistake(
            "a typing error further in",
            "repository: /r\nservices:\n  a:\n    files: [/a]\n    chekc: {}",
            "dr.yaml:5:5: unknown key \"chekc\" in services.a | did you mean \"check\"?"),
        ConfigurationMistake(
            "a key nobody could mean", "repository: /r\nobjectives: {sla: 99}",
            "dr.yaml:2:14: unknown key \"sla\" in objectives | known here: rto, rpo"),
        ConfigurationMistake(
            "copies without names", "repository: /r\ncopies: []",
            "dr.yaml:2:9: copies must be a mapping of names, not a list"),
        ConfigurationMistake(
            "a workload of a later version",
            "repository: /r\nservices: {vm: {k3s: {server: here}}}",
            "dr.yaml:2:17: key \"k3s\" in services.vm is not supported by this version"
                + " | remove it, or use a later version of dr"),
        ConfigurationMistake(
            "a key twice", "repository: /r\nobjectives:\n  rto: 1h\n  rpo: 2h\n  rto: 3h",
            "dr.yaml:5:3: key \"rto\" is given twice in objectives, first on line 3"
                + " | keep one of the two"),
        ConfigurationMistake(
            "a service twice",
            "repository: /r\nservices:\n  a: {files: [/a]}\n  a: {files: [/b]}",
            "dr.yaml:4:3: key \"a\" is given twice in services, first on line 3"
                + " | keep one of the two"),
        ConfigurationMistake(
            "no repository", "services: {a: {files: [/a]}}",
            "dr.yaml:1:1: the configuration lacks repository"
                + " | add a line like repository: /srv/dr"),
        ConfigurationMistake(
            "a service without data", "repository: /r\nservices: {a: {rto: 1h}}",
            "dr.yaml:2:15: services.a has nothing to back up"
                + " | add one of docker, postgres, mariadb, files, sqlite, command or proxmox"),
        ConfigurationMistake(
            "no subject", "repository: /r\nservices: {a: {docker: {image: save}}}",
            "dr.yaml:2:24: services.a.docker lacks one of container, project or volume"
                + " | add one of them"),
        ConfigurationMistake(
            "two subjects",
            "repository: /r\nservices: {a: {docker: {container: a, volume: b}}}",
            "dr.yaml:2:24: services.a.docker has more than one of container, project or volume"
                + " | keep one of them"),
        ConfigurationMistake(
            "two passwords",
            "repository: /r\nservices:\n  a:\n    postgres:\n      container: a\n"
                + "      password_env: A\n      password_file: b",
            "dr.yaml:5:7: services.a.postgres has more than one of password_file, password_env or"
                + " password_command | keep one of them"),
        ConfigurationMistake(
            "a name that would break others", "repository: /r\nservices: {a/b: {files: [/a]}}",
            "dr.yaml:2:12: a key in services is not a name that can be used: \"a/b\""
                + " | use up to 63 letters, digits, dots, dashes and underscores"),
    ]

    private static let ofValues = [
        ConfigurationMistake(
            "nothing after the colon", "repository: /r\nobjectives:\n  rto:",
            "dr.yaml:3:7: objectives.rto has no value"
                + " | write a length of time after the colon, or remove the key"),
        ConfigurationMistake(
            "a mapping for a text", "repository: /r\ncatalog: {path: /r}",
            "dr.yaml:2:10: catalog must be a path, not a mapping"),
        ConfigurationMistake(
            "a text for a list", "repository: /r\nservices: {a: {files: /a}}",
            "dr.yaml:2:23: services.a.files must be a list of paths or a mapping, not \"/a\""
                + " | write it in brackets: [/a]"),
        ConfigurationMistake(
            "a list for the whole", "- repository: /r",
            "dr.yaml:1:1: the configuration must be a mapping, not a list"),
        ConfigurationMistake(
            "an empty list", "repository: /r\nservices: {a: {files: []}}",
            "dr.yaml:2:23: services.a.files is an empty list | remove it, or fill it"),
        ConfigurationMistake(
            "a time in words", "repository: /r\nobjectives: {rto: one hour}",
            "dr.yaml:2:19: objectives.rto must be a length of time, not \"one hour\""
                + " | write for example 90s, 15m, 1h30m or 7d"),
        ConfigurationMistake(
            "no time at all", "repository: /r\nobjectives: {rto: 0}",
            "dr.yaml:2:19: objectives.rto must be a length of time, not \"0\""
                + " | write for example 90s, 15m, 1h30m or 7d"),
        ConfigurationMistake(
            "a number out of range", "repository: /r\ncompression: {level: 22}",
            "dr.yaml:2:22: compression.level must be a whole number from 1 to 19, not \"22\""),
        ConfigurationMistake(
            "half a number", "repository: /r\nretention: {daily: 7.5}",
            "dr.yaml:2:20: retention.daily must be a whole number from 0 to 100000, not \"7.5\""),
        ConfigurationMistake(
            "retention of nothing", "repository: /r\nretention: {daily: 0}",
            "dr.yaml:2:12: retention has no rule that keeps anything"
                + " | set one, or remove retention to keep every snapshot"),
        ConfigurationMistake(
            "a yes that YAML once knew",
            "repository: /r\nservices: {a: {files: [/a], allow_empty: yes}}",
            "dr.yaml:2:42: services.a.allow_empty must be true or false, not \"yes\""),
        ConfigurationMistake(
            "a choice nearly met",
            "repository: /r\nservices: {a: {files: [/a], consistency: stopp}}",
            "dr.yaml:2:42: services.a.consistency must be live, pause or stop, not \"stopp\""
                + " | did you mean \"stop\"?"),
        ConfigurationMistake(
            "a shell's home", "repository: ~/backup",
            "dr.yaml:1:13: repository begins with ~, which only a shell knows: \"~/backup\""
                + " | write the whole path"),
        ConfigurationMistake(
            "another tool's kind of place", "repository: b2://bucket/prefix",
            "dr.yaml:1:13: repository names a kind of repository that this version does not"
                + " support: b2: | write the path of a directory, s3:https://host/bucket/prefix or"
                + " sftp:user@host:/path"),
        ConfigurationMistake(
            "a host where a bucket is named", "repository: s3://s3.amazonaws.com/bucket",
            "dr.yaml:1:13: repository names a host where s3:// names a bucket:"
                + " \"s3.amazonaws.com\" | write for example s3:https://s3.example.org/bucket/prefix"
        ),
        ConfigurationMistake(
            "keys in an address", "repository: s3:https://key:secret@s3.example.org/bucket",
            "dr.yaml:1:13: repository holds a user or password, which would show up in reports | put"
                + " the keys into a file and name it with credentials_file, or set AWS_ACCESS_KEY_ID"
                + " and AWS_SECRET_ACCESS_KEY"),
        ConfigurationMistake(
            "a password in an address", "repository: sftp://dr:planted@backup.example.org/srv/dr",
            "dr.yaml:1:13: repository holds a password, which would show up in reports and in the"
                + " list of processes | take it out and change it; ssh takes keys, which"
                + " ~/.ssh/config names"),
        ConfigurationMistake(
            "a machine without a path", "repository: {place: \"sftp:backup.example.org\"}",
            "dr.yaml:1:21: repository.place names no path: \"backup.example.org\" | write for"
                + " example sftp:user@host:/srv/dr or sftp://user@host:22/srv/dr"),
        ConfigurationMistake(
            "an address that is none",
            "repository: /r\nservices: {a: {files: [/a], check: {http: stats.example.org}}}",
            "dr.yaml:2:43: services.a.check.http must be an http or https address, not"
                + " \"stats.example.org\" | write for example http://127.0.0.1:8080/health"),
        ConfigurationMistake(
            "an address with a password",
            "repository: /r\nservices: {a: {files: [/a], check: {http: \"http://u:p@h/\"}}}",
            "dr.yaml:2:43: services.a.check.http holds a user or password, which would show up in"
                + " reports | use an address that answers without one"),
        ConfigurationMistake(
            "a database address with a password",
            "repository: /r\nservices: {a: {postgres: {url: \"postgresql://u:secret@h/d\"}}}",
            "dr.yaml:2:32: services.a.postgres.url holds a password"
                + " | take it out and use password_file, password_env or password_command"),
        ConfigurationMistake(
            "a database address with a password behind",
            "repository: /r\nservices: {a: {postgres: {url: \"postgres:///d?password=x\"}}}",
            "dr.yaml:2:32: services.a.postgres.url holds a password"
                + " | take it out and use password_file, password_env or password_command"),
        ConfigurationMistake(
            "a port that is none",
            "repository: /r\nservices: {a: {files: [/a], check: {tcp: localhost}}}",
            "dr.yaml:2:42: services.a.check.tcp must be host:port, not \"localhost\""
                + " | write for example 127.0.0.1:5432 or [::1]:5432"),
        ConfigurationMistake(
            "a status without an address",
            "repository: /r\nservices: {a: {files: [/a], check: {container: a, expect: 200}}}",
            "dr.yaml:2:59: services.a.check.expect has a meaning only beside http"
                + " | remove it, or check an address with http"),
        ConfigurationMistake(
            "a pipe", "repository: /r\nservices: {a: {command: {capture: pg_dump | gzip}}}",
            "dr.yaml:2:35: services.a.command.capture is no command: \"|\" means something only to"
                + " a shell | it runs without a shell; write sh -c '...' where you need one"),
        ConfigurationMistake(
            "an Engine far away", "repository: /r\ndocker: {host: \"tcp://standby:2375\"}",
            "dr.yaml:2:16: docker.host is not supported by this version: tcp://"
                + " | write for example unix:///var/run/docker.sock"),
        ConfigurationMistake(
            "an option for ssh", "repository: /r\ndocker: {host: \"ssh://-oProxyCommand=x\"}",
            "dr.yaml:2:16: docker.host must name a machine after ssh://, not"
                + " \"ssh://-oProxyCommand=x\" | write for example ssh://root@host"),
        ConfigurationMistake(
            "an Engine where a machine is meant",
            "repository: /r\nservices: {a: {postgres: {url: \"postgresql://h/d\","
                + " host: \"unix:///run/d.sock\"}}}",
            "dr.yaml:2:58: services.a.postgres.host beside url must name a machine as"
                + " ssh://user@host, not \"unix:///run/d.sock\""
                + " | remove it: without it the client programs run on this machine"),
        ConfigurationMistake(
            "an SQLite database of another machine",
            "repository: /r\nservices: {a: {sqlite: {path: /a, host: \"ssh://h\"}}}",
            "dr.yaml:2:24: services.a.sqlite must be a path or a list of paths, not a mapping"
                + " | write paths of this machine; of another one save what its own sqlite3 copies,"
                + " with command: and host:"),
    ]

    private static let ofRelations = [
        ConfigurationMistake(
            "after a service that is not there",
            "repository: /r\nservices:\n  umami-db: {files: [/a]}\n"
                + "  umami: {files: [/b], after: [umami_db]}",
            "dr.yaml:4:32: services.umami.after names no service: \"umami_db\""
                + " | did you mean \"umami-db\"?"),
        ConfigurationMistake(
            "a circle of two",
            "repository: /r\nservices:\n  umami: {files: [/a], after: umami-db}\n"
                + "  umami-db: {files: [/b], after: [umami]}",
            "dr.yaml:4:35: services wait for each other: umami -> umami-db -> umami"
                + " | remove one of them from the after: of the one before it"),
        ConfigurationMistake(
            "a circle of one", "repository: /r\nservices: {a: {files: [/a], after: a}}",
            "dr.yaml:2:36: services wait for each other: a -> a"
                + " | remove one of them from the after: of the one before it"),
        ConfigurationMistake(
            "a circle that others lead to",
            "repository: /r\nservices:\n  a: {files: [/a], after: b}\n"
                + "  b: {files: [/a], after: c}\n  c: {files: [/a], after: d}\n"
                + "  d: {files: [/a], after: [b]}",
            "dr.yaml:6:28: services wait for each other: b -> c -> d -> b"
                + " | remove one of them from the after: of the one before it"),
        ConfigurationMistake(
            "two wishes at once",
            "repository: /r\nservices:\n  a:\n    docker: {container: a, consistency: stop}\n"
                + "    consistency: pause",
            "dr.yaml:4:41: services.a.docker.consistency contradicts services.a.consistency"
                + " | keep one of the two"),
        ConfigurationMistake(
            "several mistakes, in the order of the file",
            "services: {a: {file: [/a]}}\ncompression: {level: x}",
            "dr.yaml:1:1: the configuration lacks repository"
                + " | add a line like repository: /srv/dr",
            "dr.yaml:1:16: unknown key \"file\" in services.a | did you mean \"files\"?",
            "dr.yaml:2:22: compression.level must be a whole number from 1 to 19, not \"x\""),
    ]

    static let ofSyntax = [
        ConfigurationMistake(
            "a tab", "repository: /r\nservices:\n\ta: {}",
            "dr.yaml:3:1: a tab is used for indentation | YAML allows only spaces there"),
        ConfigurationMistake(
            "a quote without an end", "repository: \"/srv/dr\nservices: {}\n",
            "dr.yaml:1:13: the quote that opens here is never closed"
                + " | close it, or double a quote that belongs to the text"),
        ConfigurationMistake(
            "a bracket without an end", "repository: /r\nservices: {a: {files: [/a}}",
            "dr.yaml:2:23: the bracket that opens here is never closed"
                + " | separate items with commas and close it with ]"),
        ConfigurationMistake(
            "a key that is too far left", "services:\n    a:\n      files: [/a]\n  b: {}",
            "dr.yaml:4:3: this line does not belong to what is above it"
                + " | indent it like the other keys of the mapping that begins on line 1"),
        ConfigurationMistake(
            "a key that is too far right", "repository: /r\n  services: {}",
            "dr.yaml:2:11: a colon is not allowed here"
                + " | indent the key like its neighbours, or quote a text that holds a colon"),
        ConfigurationMistake(
            "a line without a colon", "repository: /r\nservices\n",
            "dr.yaml:2:1: a key without a colon | write a colon and a space after the key"),
        ConfigurationMistake(
            "a pattern without quotes",
            "repository: /r\nservices: {a: {files: {paths: [/a], exclude: [*.log]}}}",
            "dr.yaml:2:47: a value cannot begin with * or & without quotes"
                + " | put it in quotes, for example \"*.log\""),
        ConfigurationMistake(
            "an alias for nothing", "repository: *place",
            "dr.yaml:1:13: alias *place stands for nothing that comes before it"
                + " | quote the value if it is meant to begin with *"),
        ConfigurationMistake(
            "an alias for what it stands in", "repository: /r\nservices: &all {a: *all}",
            "dr.yaml:2:20: alias *all stands for nothing that comes before it"
                + " | quote the value if it is meant to begin with *"),
        ConfigurationMistake(
            "a merge key", "a: &a {x: 1}\nb: {<<: *a}",
            "dr.yaml:2:5: merge keys (<<) are not supported"
                + " | write the keys out, or use an alias for a whole value"),
        ConfigurationMistake(
            "a reserved character", "repository: @home",
            "dr.yaml:1:13: a value cannot begin with \"@\" without quotes | put it in quotes"),
        ConfigurationMistake(
            "a tag", "repository: !secret path",
            "dr.yaml:1:13: the tag !secret is not supported"
                + " | remove it, or quote the value if it is meant to begin with !"),
        ConfigurationMistake(
            "a list as a key", "[a, b]: c",
            "dr.yaml:1:1: a list or mapping cannot be a key"
                + " | quote the text if it begins with [ or {"),
        ConfigurationMistake(
            "two documents", "repository: /r\n---\nservices: {}",
            "dr.yaml:2:1: a second document begins here"
                + " | remove the line ---: a configuration is one document"),
        ConfigurationMistake(
            "nothing", "",
            "dr.yaml:1:1: the configuration is empty"
                + " | it needs a repository and services; dr config reference explains every key"),
        ConfigurationMistake(
            "only comments", "# repository: /srv/dr\n---\n",
            "dr.yaml:1:1: the configuration is empty"
                + " | it needs a repository and services; dr config reference explains every key"),
    ]
}
