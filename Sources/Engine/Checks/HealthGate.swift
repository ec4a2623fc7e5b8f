public import Model

/// Waits until something is healthy.
public struct HealthGate: Sendable {
    private let probe: any HealthProbe
    private let timepiece: any Timepiece
    /// The pause after the first attempt; each is half as long again, up to `longestPause`.
    private let firstPause = TimeSpan(seconds: 0.2)
    private let longestPause = TimeSpan(seconds: 5)

    public init(probe: any HealthProbe, timepiece: any Timepiece) {
        self.probe = probe
        self.timepiece = timepiece
    }

    /// Asks again and again until the check passes or its time is over.
    ///
    /// - Returns: The number of attempts.
    /// - Throws: `Failure` with code `verificationFailed` and the last answer when time is up;
    ///   `CancellationError`.
    public func wait(for check: CheckSpecification) async throws -> Int {
        let end = timepiece.monotonic + check.timeout
        var pause = firstPause
        var attempts = 0
        while true {
            attempts += 1
            guard case .unhealthy(let reason) = try await probe.probe(check) else {
                return attempts
            }
            try Task.checkCancellation()
            let left = end - timepiece.monotonic
            guard left > .zero else {
                throw Failure(
                    .verificationFailed, "check failed: \(check.summary)",
                    hint: "look at the service's own log, then repeat the check",
                    cause: "\(reason), \(attempts) attempts in \(check.timeout)", side: .target)
            }
            // The last attempt is made when the time is over, not before.
            try await timepiece.sleep(for: min(pause, left))
            pause = min(longestPause, TimeSpan(nanoseconds: pause.nanoseconds / 2 * 3))
        }
    }
}
