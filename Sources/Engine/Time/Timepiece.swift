import CLinux
import Glibc
public import Model

/// Tells the time and waits: the one way to a clock, so that tests bring their own.
public protocol Timepiece: Sendable {
    /// Time since some fixed moment of this boot: never goes back, and counts while the machine
    /// sleeps. Every duration is a difference of two of these.
    var monotonic: TimeSpan { get }

    /// The time of day, for showing; it may jump.
    var wall: Timestamp { get }

    /// Waits; throws `CancellationError` as soon as the task is cancelled.
    func sleep(for span: TimeSpan) async throws
}

/// The clocks of this machine: `CLOCK_BOOTTIME` and `CLOCK_REALTIME`.
public struct SystemTimepiece: Timepiece {
    public init() {}

    public var monotonic: TimeSpan {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return TimeSpan(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    public var wall: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: time.tv_sec, nanoseconds: time.tv_nsec)
    }

    public func sleep(for span: TimeSpan) async throws {
        try await Task.sleep(for: span.duration, clock: .continuous)
    }
}
