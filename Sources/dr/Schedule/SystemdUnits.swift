import Model

/// The unit files of a job: a service and a timer.
struct SystemdUnits: Sendable {
    /// Stands in the first line of every file that `dr schedule` writes: no other is replaced or
    /// removed.
    static let mark = "# Written by dr schedule; dr schedule remove takes it away."

    var job: ScheduledJob
    var call: ScheduledCall

    var files: [(name: String, text: String)] {
        [("\(job.name).service", service), ("\(job.name).timer", timer)]
    }

    private var service: String {
        var lines = [
            Self.mark, "[Unit]", "Description=\(job.title)", "Wants=network-online.target",
            "After=network-online.target docker.service postgresql.service mariadb.service", "",
            "[Service]", "Type=oneshot",
        ]
        for words in job.calls {
            let all = [call.program, "--config", call.configuration] + words
            lines.append("ExecStart=\(all.map(Self.quoted).joined(separator: " "))")
        }
        for variable in call.environment {
            lines.append(
                "Environment=\(Self.quoted("\(variable.name)=\(variable.value)", inSpecifiersOnly: true))"
            )
        }
        lines += [
            "# The rest of the machine comes first.", "Nice=19", "CPUSchedulingPolicy=batch",
            "IOSchedulingClass=best-effort", "IOSchedulingPriority=7",
            "# On a shutdown it sets going again what it stopped, and records what is safe.",
            "KillMode=mixed", "TimeoutStopSec=5min",
            "# It must read everything, and reach databases and containers; nothing else.",
            "NoNewPrivileges=yes", "ProtectSystem=full", "ProtectKernelTunables=yes",
            "ProtectKernelModules=yes", "ProtectKernelLogs=yes", "ProtectControlGroups=yes",
            "ProtectClock=yes", "ProtectHostname=yes", "RestrictRealtime=yes",
            "RestrictNamespaces=yes", "LockPersonality=yes", "MemoryDenyWriteExecute=yes",
            "SystemCallArchitectures=native",
            "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK", "UMask=0077",
            "LimitCORE=0", "",
        ]
        return lines.joined(separator: "\n")
    }

    private var timer: String {
        [
            Self.mark, "[Unit]", "Description=\(job.title)", "", "[Timer]",
            "OnCalendar=\(job.calendar)",
            "# A machine that was off then does it when it is on again.",
            "Persistent=true", "# Machines that share a repository do not all begin at once.",
            "RandomizedDelaySec=15min", "", "[Install]", "WantedBy=timers.target", "",
        ].joined(separator: "\n")
    }

    /// One word of a line of systemd's: `%` and `$` stand for themselves.
    private static func quoted(_ text: String) -> String { quoted(text, inSpecifiersOnly: false) }

    /// - Parameter inSpecifiersOnly: `$` has no meaning in this line.
    private static func quoted(_ text: String, inSpecifiersOnly: Bool) -> String {
        var escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            .replacing("%", with: "%%")
        if !inSpecifiersOnly { escaped = escaped.replacing("$", with: "$$") }
        let isPlain = text.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || "/._-=:%@,+".utf8.contains(byte)
        }
        return isPlain ? escaped : "\"\(escaped)\""
    }
}

/// A file for `/etc/cron.d`, or the lines of a user's own table.
struct CronTable: Sendable {
    var jobs: [ScheduledJob]
    var call: ScheduledCall
    /// The user's name, in a table of the system; nil in a table of the user's own.
    var user: String?

    static let end = "# End of what dr schedule wrote."

    var text: String {
        var lines = [SystemdUnits.mark]
        // Cron's own PATH lacks the directories of database clients and sendmail.
        lines.append("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        let variables = call.environment.map { "\($0.name)=\(Self.quoted($0.value))" }
        for job in jobs {
            let calls = job.calls.map { words in
                ([call.program, "--config", call.configuration] + words).map(Self.quoted)
                    .joined(separator: " ")
            }
            let prefix = (variables + ["nice", "-n", "19"]).joined(separator: " ")
            let command = calls.map { "\(prefix) \($0)" }.joined(separator: " && ")
                .replacing("%", with: "\\%")
            let who = user.map { " \($0)" } ?? ""
            lines.append("# \(job.title)")
            lines.append("\(job.cronFields)\(who) \(command)")
        }
        lines += [Self.end, ""]
        return lines.joined(separator: "\n")
    }

    /// One word for the shell.
    private static func quoted(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || "/._-=:@,+%".utf8.contains(byte)
        }
        return isPlain ? text : "'" + text.replacing("'", with: "'\\''") + "'"
    }

    /// A table without what `dr schedule` wrote into it.
    static func without(own table: String) -> String {
        var isOwn = false
        var kept: [Substring] = []
        for line in table.split(separator: "\n", omittingEmptySubsequences: false) {
            if line == SystemdUnits.mark { isOwn = true }
            if !isOwn { kept.append(line) }
            if line == end { isOwn = false }
        }
        while kept.last?.isEmpty == true { kept.removeLast() }
        return kept.isEmpty ? "" : kept.joined(separator: "\n") + "\n"
    }
}
