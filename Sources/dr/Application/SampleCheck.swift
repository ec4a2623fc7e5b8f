import Catalog
import Engine
import Model
import Repository

/// Reads a part of the repository back after a run: another part each time, and never for long.
struct SampleCheck {
    let application: Application
    let open: OpenRepository

    /// - Parameters:
    ///   - percent: Of the packs; 0 for none.
    ///   - duration: Of the run.
    /// - Returns: What the check found; `done` also when there was no time for it.
    func run(percent: Int, after duration: TimeSpan) async throws -> ExitCode {
        guard percent > 0 else { return .done }
        let mark = try await open.catalog.sampleMark()
        let allowance = SampleAllowance(after: duration, owed: mark?.owed ?? .zero)
        let clock = application.timepiece
        let began = clock.monotonic
        let sample = try await open.repository.sample(after: mark?.last, percent: percent) { read in
            allowance.allowsAnother(after: read, in: clock.monotonic - began)
        }
        let used = clock.monotonic - began
        try await open.catalog.remember(
            SampleMark(last: sample.last, owed: allowance.owed(having: used)))
        for finding in sample.findings.prefix(5) {
            application.output.warning("the sample check: \(finding)")
        }
        guard sample.findings.isEmpty else {
            application.output.warning(
                "the repository is damaged", hint: "run dr check --read-data to see all of it")
            return .damaged
        }
        let (read, all) = (sample.packsRead, sample.packs)
        if read > 0 {
            application.output.note(
                StyledText("read back \(read) of \(all) packs (\(sample.bytesRead)): no damage"))
        } else if all > 0 {
            application.output.detail(
                StyledText("no pack was read back: a twentieth of the run's time is too short"))
        }
        return .done
    }
}

/// How long a sample check may take: a twentieth of the time that runs take.
///
/// A pack is read to its end. What that takes too long is missing from the allowance of the runs that
/// follow.
struct SampleAllowance {
    private static let share = 0.05
    private let earned: TimeSpan
    private let debt: TimeSpan

    init(after duration: TimeSpan, owed: TimeSpan) {
        earned = TimeSpan(seconds: duration.seconds * Self.share)
        debt = owed
    }

    /// Whether there is time for one more pack after so many that took so long together.
    func allowsAnother(after read: Int, in used: TimeSpan) -> Bool {
        let next = TimeSpan(seconds: read > 0 ? used.seconds / Double(read) : 0)
        return debt + used + next < earned
    }

    /// What is owed when a check has taken so long.
    func owed(having used: TimeSpan) -> TimeSpan { max(.zero, debt + used - earned) }
}
