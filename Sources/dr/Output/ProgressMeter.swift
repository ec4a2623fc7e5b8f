import Model

/// How far a long work is.
struct ProgressState: Sendable, Hashable {
    /// What is being done, for example `backup` or `restore`.
    var title: String
    /// What it is busy with now, for example a service's name.
    var current = ""
    var bytesDone = ByteCount(0)
    /// By service, where that is counted.
    var bytesOf: [String: UInt64] = [:]
    /// Nil while it is not known.
    var bytesTotal: ByteCount?
    var stepsDone = 0
    var stepsTotal = 0

    init(title: String) { self.title = title }

    /// 0 to 1; nil while the total is not known.
    var fraction: Double? {
        guard let total = bytesTotal, total.bytes > 0 else { return nil }
        return min(1, Double(bytesDone.bytes) / Double(total.bytes))
    }
}

/// Measures the speed of a work from what it says of itself. Pure: the time is a parameter.
struct ProgressMeter: Sendable {
    /// The speed is that of the last so many seconds: long enough to be calm, short enough to be
    /// true.
    static let window = TimeSpan(seconds: 15)

    private var samples: [(time: TimeSpan, bytes: UInt64)] = []

    /// Notes that `bytes` were done at `time`, which counts from the start of the work.
    mutating func sample(_ bytes: ByteCount, at time: TimeSpan) {
        samples.append((time, bytes.bytes))
        while samples.count > 2, time - samples[1].time >= Self.window { samples.removeFirst() }
    }

    /// Bytes a second; nil until there is something to say.
    var rate: Double? {
        guard let first = samples.first, let last = samples.last,
            last.time - first.time >= TimeSpan(seconds: 1), last.bytes >= first.bytes
        else { return nil }
        return Double(last.bytes - first.bytes) / (last.time - first.time).seconds
    }

    /// How long the rest takes at the present speed.
    func remaining(_ state: ProgressState) -> TimeSpan? {
        guard let total = state.bytesTotal, let rate, rate > 0,
            total.bytes >= state.bytesDone.bytes
        else { return nil }
        let seconds = Double(total.bytes - state.bytesDone.bytes) / rate
        return seconds < 1e9 ? TimeSpan(seconds: seconds) : nil
    }
}

/// Puts progress into words. Pure.
struct ProgressLine {
    var state: ProgressState
    var meter: ProgressMeter
    var elapsed: TimeSpan

    private var amount: String {
        guard let total = state.bytesTotal else { return "\(state.bytesDone)" }
        return "\(state.bytesDone) of \(total)"
    }

    private var percent: String? { state.fraction.map { "\(Int($0 * 100)) %" } }

    private var rate: String? { meter.rate.map { "\(ByteCount(UInt64($0)))/s" } }

    private var steps: String? {
        state.stepsTotal > 0 ? "\(state.stepsDone)/\(state.stepsTotal)" : nil
    }

    /// For a terminal, `width` columns wide.
    func bar(width: Int) -> StyledText {
        let head = [state.title, steps, state.current.isEmpty ? nil : state.current]
            .compactMap { $0 }.joined(separator: " ")
        let rest = meter.remaining(state).map { "\($0) left" } ?? "\(elapsed)"
        let tail = [percent, amount, rate, rest].compactMap { $0 }.joined(separator: "  ")
        let room = width - columns(of: head) - columns(of: tail) - 8
        guard let fraction = state.fraction, room >= 10 else {
            return StyledText(head, .strong) + StyledText("  " + tail)
        }
        let length = min(room, 40)
        let filled = Int((Double(length) * fraction).rounded(.down))
        let bar =
            String(repeating: "=", count: filled) + (filled < length ? ">" : "")
            + String(repeating: " ", count: max(0, length - filled - 1))
        return StyledText(head, .strong) + StyledText("  [") + StyledText(bar, .good)
            + StyledText("]  " + tail)
    }

    /// For a log.
    var sentence: StyledText {
        let rest = meter.remaining(state).map { "\($0) left" } ?? "\(elapsed) so far"
        let parts = [
            steps.map { "step \($0)" }, state.current.isEmpty ? nil : state.current, percent,
            amount, rate, rest,
        ]
        return StyledText("\(state.title): " + parts.compactMap { $0 }.joined(separator: ", "))
    }

    /// For JSON lines.
    var members: KeyValuePairs<String, JSONValue?> {
        func count(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
        let hasSteps = state.stepsTotal > 0
        return [
            "action": .string(state.title),
            "current": state.current.isEmpty ? nil : .string(state.current),
            "seconds_elapsed": .number(elapsed.seconds),
            "seconds_remaining": meter.remaining(state).map { .number($0.seconds) },
            "bytes_done": count(state.bytesDone.bytes),
            "bytes_total": state.bytesTotal.map { count($0.bytes) },
            "bytes_per_second": meter.rate.map { .integer(Int64($0)) },
            "steps_done": hasSteps ? .integer(Int64(state.stepsDone)) : nil,
            "steps_total": hasSteps ? .integer(Int64(state.stepsTotal)) : nil,
        ]
    }
}
