extension RecoveryReport {
    /// Refuses a report whose times cannot be true, or whose result does not follow from its steps.
    ///
    /// - Throws: `Failure` that names the first impossibility.
    public func validate() throws {
        try require(began >= .zero, "the run began before the outage was declared")
        try require(ended >= began, "the run ended before it began")
        try validateMilestones(milestones, of: "the run")
        var ends: [String: TimeSpan] = [:]
        for step in steps {
            if step.state == .done { ends[step.id] = step.ended }
            try validate(step)
        }
        // What was repeated had been done before, at a time that is not told any more.
        let known = Set(steps.filter { $0.isRepeated != true }.map(\.id))
        for step in steps {
            guard let started = step.started else { continue }
            for need in step.needs where known.contains(need) {
                guard let end = ends[need] else {
                    throw impossible("\(step.id) ran although \(need) was not done")
                }
                try require(started >= end, "\(step.id) started before \(need) had ended")
            }
        }
        for service in services { try validate(service) }
        for moment in resumed ?? [] {
            try require(
                moment >= began && moment <= ended, "it was taken up again outside of the run")
        }
        try require(
            humanWaiting ?? .zero >= .zero && humanWaiting ?? .zero <= ended - began,
            "it waited for people longer than it ran")
        if let recoveryTime {
            try require(
                recoveryTime > .zero && recoveryTime <= ended,
                "the recovery time is not within the run")
            try require(
                services.allSatisfy { $0.isHealthy },
                "a recovery time is given although a service is not healthy")
        }
        if executed.contains(where: { $0.state == .done }) {
            try require(ended > began, "steps were done in no time")
        }
        try require(
            result != .done || steps.allSatisfy { $0.state == .done },
            "the result is success although a step was not done")
    }

    private func validate(_ step: StepReport) throws {
        switch step.state {
        case .done, .failed:
            guard let ready = step.ready, let started = step.started, let ended = step.ended else {
                throw impossible("\(step.id) is \(step.state.rawValue) but has no times")
            }
            try require(step.attempts > 0, "\(step.id) is done without having begun")
            try require(ready >= began, "\(step.id) was ready before the run began")
            try require(started >= ready, "\(step.id) started before it was ready")
            try require(ended >= started, "\(step.id) ended before it started")
            try require(ended <= self.ended, "\(step.id) ended after the run")
        case .notExecuted:
            try require(step.ended == nil, "\(step.id) was not executed but has an end")
        case .waiting, .running:
            throw impossible("\(step.id) is still \(step.state.rawValue)")
        }
    }

    private func validate(_ service: ServiceReport) throws {
        try validateMilestones(service.milestones, of: service.name.text)
        try require(
            service.recoveryTime.map { $0 > .zero && $0 <= ended } ?? true,
            "the recovery time of \(service.name) is not within the run")
        try require(
            service.isHealthy || service.recoveryTime == nil,
            "\(service.name) has a recovery time but is not healthy")
    }

    /// Milestones may coincide, and steps of several services overlap; only what is impossible for
    /// any plan is refused.
    private func validateMilestones(_ milestones: RecoveryMilestones, of whom: String) throws {
        for (name, at) in milestones.all {
            try require(
                at >= began && at <= ended, "\(name) of \(whom) is not within the run")
        }
        if let planned = milestones.planned {
            for (name, at) in milestones.all where name != "planned" {
                try require(at >= planned, "\(name) of \(whom) is before planned")
            }
        }
        if let first = milestones.firstByte, let last = milestones.dataRestored {
            try require(last >= first, "data restored of \(whom) is before first byte")
        }
    }

    private func require(_ condition: Bool, _ what: String) throws {
        if !condition { throw impossible(what) }
    }

    private func impossible(_ what: String) -> Failure {
        Failure(
            .failed, "the report of run \(run.short) is not valid: \(what)",
            hint: "keep it, and report this as a defect of dr", side: .local)
    }
}
