import Model

extension ServiceReader {
    /// The keys of `backup:`.
    static func night(_ value: ConfigurationValue) -> NightRules {
        var rules = NightRules()
        rules.jobs = value["jobs"]?.integer ?? rules.jobs
        rules.jobsPerHost = value["jobs_per_host"]?.integer ?? rules.jobsPerHost
        rules.deadline = value["deadline"]?.span
        rules.timeout = value["timeout"]?.span
        rules.attempts = value["attempts"]?.integer ?? rules.attempts
        rules.pause = value["pause"]?.span ?? rules.pause
        rules.check = value["check"]?.integer ?? rules.check
        rules.hooks = value["hooks"].map(hooks) ?? rules.hooks
        return rules
    }

    static func hooks(_ value: ConfigurationValue) -> Hooks {
        var hooks = Hooks(
            before: value["before"]?.words, after: value["after"]?.words,
            failed: value["failed"]?.words)
        hooks.timeout = value["timeout"]?.span ?? hooks.timeout
        return hooks
    }

    /// - Parameter common: What holds where a threshold is not set.
    static func plausibility(
        _ value: ConfigurationValue?, default common: PlausibilityRules
    ) -> PlausibilityRules {
        PlausibilityRules(
            rows: value?["rows"]?.integer ?? common.rows,
            bytes: value?["bytes"]?.integer ?? common.bytes,
            files: value?["files"]?.integer ?? common.files)
    }
}
