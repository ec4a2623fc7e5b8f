import CLinux
import Engine
import Glibc
import Model
import Synchronization

/// Something that may pass: the next try is made after at least `wait`.
struct Hesitation: Error {
    var failure: Failure
    var wait = TimeSpan.zero
}

/// Tries calls of a store that is far away again, with growing and random waits, until a deadline.
///
/// Where one call has given up, the next ones give up sooner, until one succeeds: a run that meets a
/// dead store ends soon after the first deadline, and not after one for each thing it still does.
final class StoreRetries: Sendable {
    private let deadline: TimeSpan
    private let timepiece: any Timepiece
    private let place: String
    private let isDown = Mutex(false)

    /// What is left to a call when an earlier one has given up.
    private static let shortDeadline = TimeSpan(seconds: 10)
    private static let firstWait = 0.2
    private static let longestWait = 15.0

    init(place: String, deadline: TimeSpan, timepiece: any Timepiece = SystemTimepiece()) {
        self.place = place
        self.deadline = deadline
        self.timepiece = timepiece
    }

    /// Does `body` until it succeeds, fails for good, or time is up.
    ///
    /// - Parameter body: Is given the time that is left; throws ``Hesitation`` or a transient
    ///   `Failure` for what may pass.
    func call<Value: Sendable>(
        _ body: (_ attempt: Int, _ left: TimeSpan) async throws -> Value
    ) async throws -> Value {
        let began = timepiece.monotonic
        let limit = isDown.withLock { $0 } ? min(deadline, Self.shortDeadline) : deadline
        var attempt = 0
        while true {
            try Task.checkCancellation()
            let hesitation: Hesitation
            do {
                let left = limit - (timepiece.monotonic - began)
                let value = try await body(attempt, max(left, TimeSpan(seconds: 1)))
                isDown.withLock { $0 = false }
                return value
            } catch let error as Hesitation {
                hesitation = error
            } catch let failure as Failure where failure.isTransient {
                hesitation = Hesitation(failure: failure)
            }
            let wait = max(hesitation.wait, Self.wait(after: attempt))
            let spent = timepiece.monotonic - began
            guard spent + wait < limit else {
                isDown.withLock { $0 = true }
                throw gaveUp(hesitation.failure, after: spent, tries: attempt + 1)
            }
            try await timepiece.sleep(for: wait)
            attempt += 1
        }
    }

    /// Between half of and the whole of a wait that doubles.
    private static func wait(after attempt: Int) -> TimeSpan {
        let longest = min(longestWait, firstWait * Double(1 << min(attempt, 10)))
        return TimeSpan(seconds: .random(in: longest / 2...longest))
    }

    private func gaveUp(_ last: Failure, after spent: TimeSpan, tries: Int) -> Failure {
        Failure(
            last.code, "\(place) did not do it in \(tries) tries over \(spent): \(last.message)",
            hint: last.hint
                ?? "look whether it runs and can be reached, then run the same command again: what"
                + " was stored is used",
            cause: last.cause, side: .repository, isTransient: true)
    }
}

/// A limit on bytes a second that many transfers share; waits on the thread that transfers.
final class RateLimit: Sendable {
    private let bytesPerSecond: Double
    /// When what was taken so far is paid for.
    private let paid = Mutex(TimeSpan.zero)
    private let timepiece = SystemTimepiece()

    init(_ rate: ByteCount) { bytesPerSecond = Double(max(1024, rate.bytes)) }

    /// Takes `count` bytes; returns at once or when there is room for them.
    func take(_ count: Int) {
        let cost = TimeSpan(seconds: Double(count) / bytesPerSecond)
        let now = timepiece.monotonic
        let until = paid.withLock { paid in
            // What was not used is not saved up.
            paid = max(paid, now) + cost
            return paid
        }
        var wait = until - now
        while wait > .zero {
            usleep(UInt32(min(500_000, max(1, wait.nanoseconds / 1000))))
            wait = until - timepiece.monotonic
        }
    }
}
