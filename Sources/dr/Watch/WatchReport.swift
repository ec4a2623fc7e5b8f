import Engine
import Model
import Snapshot

/// What is to be told of one run, gathered before it becomes one notice.
struct WatchReport {
    let host: String
    var events: Set<NotificationEvent> = []
    /// One thing a line.
    var lines: [String] = []
    /// Subjects that are in trouble now, and in which.
    var bad: [String: NotificationEvent] = [:]
    /// Subjects whose state is known now.
    var lookedAt: Set<String> = []
    /// What to say of a subject that has changed.
    var texts: [String: String] = [:]

    init(host: String) { self.host = host }

    mutating func add(_ summary: BackupSummary, code: ExitCode) {
        lookedAt.insert(Troubles.run)
        if let ending = summary.ending {
            add(.failure, Troubles.run, "the run ended early: \(ending.description)", ending.hint)
        }
        for item in summary.items {
            let subject = item.workload.text
            lookedAt.insert(subject)
            if let failure = item.failure {
                add(.failure, subject, "\(subject): failed: \(failure.description)", failure.hint)
            }
            for omission in item.omissions {
                add(.failure, subject, "\(subject): left out: \(omission)", nil)
            }
        }
        for hook in summary.hookFailures {
            let whose = hook.service.map { "hook of \($0)" } ?? "hook of the run"
            add(.failure, Troubles.run, "\(whose): \(hook.failure.description)", nil)
        }
        for item in summary.items {
            for suspicion in item.suspicions {
                add(
                    .suspicious, item.workload.text,
                    "\(item.workload): suspicious: \(suspicion)",
                    item.snapshot.map {
                        "if it is as it should be: dr snapshots accept \($0.short)"
                    })
            }
        }
        // Retention or the sample check failed, and said so itself.
        if code != .done, events.isEmpty {
            add(.failure, Troubles.run, "it ended with \(code.rawValue): \(code.meaning)", nil)
        }
        if code == .done { events.insert(.success) }
    }

    private mutating func add(
        _ event: NotificationEvent, _ subject: String, _ text: String, _ hint: String?
    ) {
        events.insert(event)
        if bad[subject] != .failure { bad[subject] = event }
        lines.append(text)
        if let hint { lines.append("  hint: \(hint)") }
    }

    /// Adds what has changed since receivers were told last.
    mutating func note(_ change: (new: Set<String>, gone: [String: Timestamp])) {
        for subject in change.new.sorted() where bad[subject] == .overdue {
            events.insert(.overdue)
            lines.append("overdue: \(texts[subject] ?? subject)")
        }
        for (subject, since) in change.gone.sorted(by: { $0.key < $1.key }) {
            events.insert(.recovered)
            let name = subject == Troubles.run ? "the run" : subject
            lines.append("recovered: \(name), in trouble since \(since.shortDescription)")
        }
    }

    func title(of summary: BackupSummary, code: ExitCode) -> String {
        let all = summary.items.count
        let failed = summary.items.count { $0.failure != nil }
        let odd = summary.items.count { $0.failure == nil && !$0.suspicions.isEmpty }
        let what: String =
            if let ending = summary.ending, ending.code != .done {
                "ended early, \(all - failed) of \(all) saved"
            } else if failed > 0 {
                "\(failed) of \(all) failed"
            } else if odd > 0 {
                "\(odd) of \(all) suspicious"
            } else if code != .done {
                "done with problems, \(all) saved"
            } else {
                "\(all) of \(all) saved in \(summary.duration)"
            }
        return "dr: backup on \(host): \(what)"
    }

    func notice(_ moment: Notice.Moment, title: String) -> Notice {
        Notice(moment, events: events, host: host, title: title, lines: lines)
    }
}
