import Model
import Synchronization

/// Shows how far a long work is while it runs: a bar on a terminal, a line now and then in a log,
/// status objects in JSON, nothing when quiet.
final class ProgressDisplay: Sendable {
    private struct Measured {
        var state: ProgressState
        var meter = ProgressMeter()
    }

    /// Between two lines of a log.
    private static let logInterval = Duration.seconds(10)
    /// Between two status objects.
    private static let statusInterval = Duration.seconds(1)
    /// Between two drawings of the bar.
    private static let drawInterval = Duration.milliseconds(200)

    /// Draws several lines instead of the bar, on a terminal of so many columns and rows.
    typealias Panel = @Sendable (ProgressLine, _ columns: Int, _ rows: Int) -> [StyledText]

    private let panel = Mutex<Panel?>(nil)
    private let output: Output
    private let measured: Mutex<Measured>
    private let start = ContinuousClock.now

    init(_ title: String, on output: Output) {
        self.output = output
        measured = Mutex(Measured(state: ProgressState(title: title)))
    }

    /// Notes how far the work is; cheap enough to be called for every slice of data.
    func update(_ change: @Sendable (inout ProgressState) -> Void) {
        measured.withLock { change(&$0.state) }
    }

    /// From now on `panel` is shown on a terminal.
    func show(_ panel: @escaping Panel) { self.panel.withLock { $0 = panel } }

    /// Runs `work` and shows its progress until it ends.
    func during<Value: Sendable>(_ work: () async throws -> Value) async rethrows -> Value {
        let ticker = Task { await tick() }
        do {
            let value = try await work()
            await end(ticker)
            return value
        } catch {
            await end(ticker)
            throw error
        }
    }

    /// Waits for the last drawing, so that none comes after what is said next.
    private func end(_ ticker: Task<Void, Never>) async {
        ticker.cancel()
        await ticker.value
        output.showProgress(nil)
    }

    private func tick() async {
        if output.manner.isQuiet { return }
        let isTerminal = output.manner.format == .human && output.manner.errorColumns != nil
        let interval =
            isTerminal
            ? Self.drawInterval
            : output.manner.format == .json ? Self.statusInterval : Self.logInterval
        while true {
            do { try await Task.sleep(for: interval) } catch { return }
            let line = measure()
            switch output.manner.format {
            case .json: output.event("status", line.members)
            case .human:
                if let width = output.manner.errorColumns {
                    if let panel = panel.withLock({ $0 }) {
                        output.showProgress(lines: panel(line, width, output.errorRows))
                    } else {
                        output.showProgress(line.bar(width: width))
                    }
                } else {
                    output.note(line.sentence)
                }
            }
        }
    }

    private func measure() -> ProgressLine {
        let elapsed = TimeSpan(ContinuousClock.now - start)
        return measured.withLock { measured in
            measured.meter.sample(measured.state.bytesDone, at: elapsed)
            return ProgressLine(state: measured.state, meter: measured.meter, elapsed: elapsed)
        }
    }
}
