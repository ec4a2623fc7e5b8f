import Model
import Restore
import Synchronization

/// A restore as it goes on, for a terminal: clock, objective, waves, services.
final class LiveView: Sendable {
    enum StepStanding: Sendable, Hashable {
        case waiting, running(since: TimeSpan), done, failed, notExecuted
    }

    private struct State {
        var steps: [String: StepStanding] = [:]
        /// What steps have said last of themselves.
        var words: [String: String] = [:]
        /// The rest of the plan, and when that was worked out.
        var remaining: (span: TimeSpan, at: TimeSpan)?
    }

    private let plan: RecoveryPlan
    private let outlook: RecoveryOutlook
    private let title: String
    /// Time since the outage was declared.
    private let clock: @Sendable () -> TimeSpan
    private let state = Mutex(State())
    /// How long a worked out rest is good for.
    private static let freshness = TimeSpan(seconds: 1)

    /// - Parameter done: Ids of steps that were done before.
    init(
        _ plan: RecoveryPlan, title: String, done: Set<String> = [],
        clock: @escaping @Sendable () -> TimeSpan
    ) {
        self.plan = plan
        self.title = title
        self.clock = clock
        outlook = RecoveryOutlook(plan)
        state.withLock { state in
            for step in plan.steps {
                state.steps[step.id] = done.contains(step.id) ? .done : .waiting
            }
        }
    }

    func set(_ id: String, _ standing: StepStanding) {
        state.withLock { $0.steps[id] = standing }
    }

    func set(_ id: String, words: String) { state.withLock { $0.words[id] = words } }

    /// What is shown now, at most `rows` lines.
    func lines(_ progress: ProgressLine, columns: Int, rows: Int) -> [StyledText] {
        let now = clock()
        let steps = state.withLock { $0.steps }
        let bytes = progress.state.bytesOf
        let remaining = remaining(steps, progress, at: now)
        var lines = [head(now, remaining), progress.bar(width: columns)]
        let body = services(steps, bytes, now, columns)
        let room = max(1, rows - lines.count - 2)
        if body.count <= room { return lines + body.map(\.line) }
        // Not all fit: what goes on and what failed comes first.
        let kept = body.enumerated().sorted {
            ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset)
        }.prefix(room - 1).sorted { $0.offset < $1.offset }
        lines += kept.map(\.element.line)
        lines.append(StyledText("  … and \(body.count - kept.count) more", .dim))
        return lines
    }

    private func head(_ now: TimeSpan, _ remaining: TimeSpan) -> StyledText {
        let end = now + remaining
        var line =
            StyledText(title, .strong) + StyledText("  \(now) since declared, about ")
            + StyledText("\(remaining) left", .strong)
        guard let objective = plan.objectives.rto else { return line }
        if now > objective {
            line = line + StyledText("  objective \(objective): MISSED", .bad)
        } else if end > objective {
            line = line + StyledText("  objective \(objective): at risk", .warning)
        } else {
            line = line + StyledText("  objective \(objective): on time", .good)
        }
        return line
    }

    private func remaining(
        _ steps: [String: StepStanding], _ progress: ProgressLine, at now: TimeSpan
    ) -> TimeSpan {
        if let known = state.withLock({ $0.remaining }), now - known.at < Self.freshness {
            return max(.zero, known.span - (now - known.at))
        }
        var ended: Set<String> = []
        var running: [String: TimeSpan] = [:]
        for (id, standing) in steps {
            switch standing {
            case .running(let since): running[id] = now - since
            case .done, .failed, .notExecuted: ended.insert(id)
            case .waiting: break
            }
        }
        var span = outlook.remaining(ended: ended, running: running)
        // The disks have the last word.
        if let bytes = progress.meter.remaining(progress.state) { span = max(span, bytes) }
        state.withLock { $0.remaining = (span, now) }
        return span
    }

    private func services(
        _ steps: [String: StepStanding], _ bytes: [String: UInt64], _ now: TimeSpan,
        _ columns: Int
    ) -> [(rank: Int, line: StyledText)] {
        let width = min(28, plan.services.map { dr.columns(of: $0.name.text) }.max() ?? 0)
        var lines: [(rank: Int, line: StyledText)] = []
        for wave in Set(plan.services.map(\.wave)).sorted() {
            let members = plan.services.filter { $0.wave == wave }
            let all = members.map { self.steps(of: $0.name) }
            let isOver = all.allSatisfy { $0.allSatisfy { steps[$0.id] == .done } }
            lines.append((isOver ? 3 : 1, StyledText("wave \(wave)", .dim)))
            for (service, own) in zip(members, all) {
                let name = truncated(service.name.text, to: width)
                let fill = String(repeating: " ", count: max(0, width - dr.columns(of: name)))
                let (rank, words) = standing(
                    service, own, steps, bytes[service.name.text] ?? 0, now, columns - width - 4)
                lines.append((rank, StyledText("  \(name)\(fill)  ") + words))
            }
        }
        return lines
    }

    private func steps(of service: ServiceName) -> [PlannedStep] {
        plan.steps.filter { $0.services.contains(service) }
    }

    private func standing(
        _ service: PlannedService, _ own: [PlannedStep], _ steps: [String: StepStanding],
        _ bytes: UInt64, _ now: TimeSpan, _ room: Int
    ) -> (rank: Int, words: StyledText) {
        if let failed = own.first(where: { steps[$0.id] == .failed }) {
            return (0, StyledText("failed: \(failed.title)", .bad))
        }
        if own.contains(where: { steps[$0.id] == .notExecuted }) {
            return (1, StyledText("not executed", .warning))
        }
        if own.allSatisfy({ steps[$0.id] == .done }) {
            return (3, StyledText(own.isEmpty ? "nothing to bring back" : "back", .good))
        }
        let running = own.filter { if case .running = steps[$0.id] { true } else { false } }
        let done = own.count { steps[$0.id] == .done }
        guard let current = running.first else {
            let waits = service.after.filter { name in
                !self.steps(of: name).allSatisfy { steps[$0.id] == .done }
            }
            let words =
                waits.isEmpty
                ? "waits for room" : "waits for \(waits.map(\.text).joined(separator: ", "))"
            return (2, StyledText(done > 0 ? "\(done)/\(own.count) steps, \(words)" : words, .dim))
        }
        let total = own.reduce(UInt64(0)) { $0 + $1.bytes.bytes }
        let share = total > 0 ? min(1, Double(bytes) / Double(total)) : 0
        var since = TimeSpan.zero
        if case .running(let began) = steps[current.id] { since = now - began }
        let more = running.count > 1 ? " and \(running.count - 1) more" : ""
        let said = state.withLock { $0.words[current.id] }.map { ", \($0)" } ?? ""
        let words = "\(current.title)\(more)\(said), \(since)"
        guard total > 0, room > 60 else { return (1, StyledText(words)) }
        let filled = Int(share * 16)
        let bar =
            String(repeating: "=", count: filled) + (filled < 16 ? ">" : "")
            + String(repeating: " ", count: max(0, 15 - filled))
        let percent = "\(Int(share * 100)) %"
        let lead = String(repeating: " ", count: max(0, 5 - percent.count))
        return (
            1, StyledText("[") + StyledText(bar, .good) + StyledText("]\(lead)\(percent)  \(words)")
        )
    }
}
