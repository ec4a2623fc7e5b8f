import Engine
import Model
import Restore

/// Passes on what a restore says of itself: to the progress display, to people, to programs.
struct RestoreReporter: Sendable {
    private let titles: [String: String]
    private let output: Output
    private let progress: ProgressDisplay

    init(_ plan: RecoveryPlan, output: Output, progress: ProgressDisplay) {
        titles = Dictionary(plan.steps.map { ($0.id, $0.title) }) { first, _ in first }
        self.output = output
        self.progress = progress
    }

    func observe(_ event: RecoveryProgress) {
        for step in event.moment.progress {
            switch step {
            case .started(let id, let attempt):
                progress.update { $0.current = title(id) }
                if attempt == 1 { say("started", id, event) }
            case .done(let id):
                progress.update { $0.stepsDone += 1 }
                say("done", id, event)
            case .failed(let id, let error, let retry):
                let failure = Failure(wrapping: error)
                if let retry {
                    output.detail(StyledText("\(title(id)): \(failure), again in \(retry)"))
                } else {
                    progress.update { $0.stepsDone += 1 }
                    say("failed", id, event, message: failure.description)
                    if failure.code != .interrupted { output.failure(failure.during(title(id))) }
                }
            case .notExecuted(let id, let cause):
                progress.update { $0.stepsDone += 1 }
                say("not executed", id, event, message: cause.map { "because of \(title($0))" })
            }
        }
    }

    private func title(_ id: String) -> String { titles[id] ?? id }

    private func say(
        _ state: String, _ id: String, _ event: RecoveryProgress, message: String? = nil
    ) {
        output.event(
            "step",
            [
                "step": .string(id), "title": .string(title(id)), "state": .string(state),
                "seconds_elapsed": .number(event.elapsed.seconds),
                "message": message.map { .string($0) },
            ])
        // A started step is worth a line only to those who asked for more.
        let line = StyledText("\(event.elapsed)  \(state)  \(title(id))")
        if state == "started" { output.detail(line) } else { output.note(line) }
    }
}
