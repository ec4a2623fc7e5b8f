import Engine
import Model
import Restore

/// Passes on what a restore says of itself: to the progress display, to people, to programs.
struct RestoreReporter: Sendable {
    private let titles: [String: String]
    private let output: Output
    private let progress: ProgressDisplay
    private let live: LiveView

    /// - Parameters:
    ///   - live: What is shown on a terminal.
    ///   - done: Ids of steps that were done before.
    ///   - bytes: What they brought back.
    init(
        _ plan: RecoveryPlan, output: Output, progress: ProgressDisplay, live: LiveView,
        done: Set<String> = [], bytes: ByteCount = ByteCount(0)
    ) {
        titles = Dictionary(plan.steps.map { ($0.id, $0.title) }) { first, _ in first }
        progress.update {
            $0.bytesTotal = plan.bytes
            $0.stepsTotal = plan.steps.count
            $0.bytesDone = bytes
            $0.stepsDone = done.count
        }
        progress.show { live.lines($0, columns: $1, rows: $2) }
        self.output = output
        self.progress = progress
        self.live = live
    }

    func observe(_ event: RecoveryProgress) {
        let moment: GraphExecutor.Moment
        switch event.event {
        case .moved(let happened): moment = happened
        case .said(let id, let words):
            live.set(id, words: words)
            say("working", id, event, message: words)
            return
        }
        for step in moment.progress {
            switch step {
            case .started(let id, let attempt):
                progress.update { $0.current = title(id) }
                if attempt == 1 {
                    live.set(id, .running(since: event.elapsed))
                    say("started", id, event)
                }
            case .done(let id):
                progress.update { $0.stepsDone += 1 }
                live.set(id, .done)
                say("done", id, event)
            case .failed(let id, let error, let retry):
                let failure = Failure(wrapping: error)
                if let retry {
                    output.detail(StyledText("\(title(id)): \(failure), again in \(retry)"))
                } else {
                    progress.update { $0.stepsDone += 1 }
                    live.set(id, .failed)
                    say("failed", id, event, message: failure.description)
                    if failure.code != .interrupted { output.failure(failure.during(title(id))) }
                }
            case .notExecuted(let id, let cause):
                progress.update { $0.stepsDone += 1 }
                live.set(id, .notExecuted)
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
        // What goes on is worth a line only to those who asked for more.
        switch state {
        case "started": output.detail(StyledText("\(event.elapsed)  \(state)  \(title(id))"))
        case "working":
            output.detail(StyledText("\(event.elapsed)  \(title(id)): \(message ?? "")"))
        default: output.note(StyledText("\(event.elapsed)  \(state)  \(title(id))"))
        }
    }
}
