import Glibc
import TestSupport
import Testing

/// What suites that drive the real program wait for.
protocol CommandSuite {}

extension CommandSuite {
    /// Waits until a file is there, at most a minute.
    func wait(for name: String, in scratch: TemporaryDirectory) async throws {
        let limit = ContinuousClock.now + .seconds(60)
        while access(scratch.path(name), F_OK) != 0 {
            guard ContinuousClock.now < limit else {
                Issue.record("\(name) never came")
                return
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
