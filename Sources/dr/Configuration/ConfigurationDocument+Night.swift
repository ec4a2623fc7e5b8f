import Model

extension ConfigurationDocument {
    func night(_ rules: NightRules) -> JSONValue {
        .members([
            "jobs": .integer(Int64(rules.jobs)),
            "jobs_per_host": .integer(Int64(rules.jobsPerHost)),
            "deadline": span(rules.deadline), "timeout": span(rules.timeout),
            "attempts": .integer(Int64(rules.attempts)), "pause": value(rules.pause),
            "check": .integer(Int64(rules.check)), "hooks": hooks(rules.hooks),
        ])
    }

    func hooks(_ hooks: Hooks) -> JSONValue? {
        if hooks.isEmpty { return nil }
        return .members([
            "before": hooks.before.map { .strings($0) },
            "after": hooks.after.map { .strings($0) },
            "failed": hooks.failed.map { .strings($0) }, "timeout": value(hooks.timeout),
        ])
    }

    func plausibility(_ rules: PlausibilityRules) -> JSONValue {
        [
            "rows": .integer(Int64(rules.rows)), "bytes": .integer(Int64(rules.bytes)),
            "files": .integer(Int64(rules.files)),
        ]
    }
}
