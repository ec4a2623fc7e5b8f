import Engine
import Model

/// The clock of one run: everything is told as a span since the outage was declared.
///
/// A run that is taken up again goes on with the same clock. Within one boot of the machine that is
/// exact; a reboot is bridged by the time of day.
struct RunClock: Sendable {
    let timepiece: any Timepiece
    let declared: Timestamp
    /// The time of day when this process took the run up.
    let wallStart: Timestamp
    /// How long before the run the outage had been declared, by the time of day.
    let began: TimeSpan
    /// Some time was measured by the time of day, because the machine was started again.
    let isBridged: Bool
    /// A reading of the monotonic clock, and the span it stands for.
    private let anchor: (monotonic: TimeSpan, offset: TimeSpan)

    /// - Parameter declared: Nil, or what lies in the future, counts as now.
    init(_ timepiece: any Timepiece, declared: Timestamp?) {
        self.timepiece = timepiece
        wallStart = timepiece.wall
        self.declared = min(declared ?? wallStart, wallStart)
        began = wallStart - self.declared
        anchor = (timepiece.monotonic, began)
        isBridged = false
    }

    /// The clock of a run that is taken up again.
    ///
    /// - Parameters:
    ///   - boot: This boot of the machine; nil when it cannot be told.
    ///   - latest: The last moment that is known of the run: the clock never goes back before it.
    init(
        resuming orders: RecoveryOrders, boot: String?, latest: TimeSpan, _ timepiece: any Timepiece
    ) {
        self.timepiece = timepiece
        wallStart = timepiece.wall
        declared = orders.declared
        began = orders.sessions.first?.offset ?? .zero
        let now = timepiece.monotonic
        if let last = orders.sessions.last, let boot, last.boot == boot, now >= last.monotonic {
            anchor = (last.monotonic, last.offset)
            isBridged = false
        } else {
            anchor = (now, max(latest, wallStart - orders.declared))
            isBridged = true
        }
    }

    /// Now.
    var offset: TimeSpan { offset(of: timepiece.monotonic) }

    /// A moment of the monotonic clock.
    func offset(of monotonic: TimeSpan) -> TimeSpan {
        anchor.offset + (monotonic - anchor.monotonic)
    }

    /// Now, by the time of day.
    var wallOffset: TimeSpan { timepiece.wall - declared }

    /// This process's part of the run.
    func session(_ processID: Int32, boot: String?) -> RecoveryOrders.Session {
        RecoveryOrders.Session(
            processID: processID, boot: boot, monotonic: anchor.monotonic, offset: anchor.offset)
    }
}
