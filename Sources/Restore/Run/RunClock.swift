import Engine
import Model

/// The clock of one run: everything is told as a span since the outage was declared.
struct RunClock: Sendable {
    let timepiece: any Timepiece
    let declared: Timestamp
    let wallStart: Timestamp
    let start: TimeSpan
    /// How long before the run the outage had been declared, by the time of day.
    let began: TimeSpan

    /// - Parameter declared: Nil, or what lies in the future, counts as now.
    init(_ timepiece: any Timepiece, declared: Timestamp?) {
        self.timepiece = timepiece
        start = timepiece.monotonic
        wallStart = timepiece.wall
        self.declared = min(declared ?? wallStart, wallStart)
        began = wallStart - self.declared
    }

    /// Now.
    var offset: TimeSpan { offset(of: timepiece.monotonic) }

    /// A moment of the monotonic clock.
    func offset(of monotonic: TimeSpan) -> TimeSpan { began + (monotonic - start) }

    /// Now, by the time of day.
    var wallOffset: TimeSpan { timepiece.wall - declared }
}
