import Model
import TestSupport
import Testing

@testable import dr

@Suite("The time of a sample check")
struct SampleAllowanceTests {
    @Test("Runs of any length pay a twentieth of their time, and one pack at most in advance")
    func twentieth() {
        var random = SeededRandom.announced()
        for longest in [1.0, 30, 7200] {
            var (owed, total, used, read) = (TimeSpan.zero, 0.0, 0.0, 0)
            let slowest = 2.0
            for _ in 0..<400 {
                let duration = Double.random(in: 0...longest, using: &random)
                let allowance = SampleAllowance(
                    after: TimeSpan(seconds: duration), owed: owed)
                var (now, packs) = (Double.random(in: 0...0.01, using: &random), 0)
                while packs < 50, allowance.allowsAnother(after: packs, in: TimeSpan(seconds: now))
                {
                    now += Double.random(in: 0.05...slowest, using: &random)
                    packs += 1
                }
                owed = allowance.owed(having: TimeSpan(seconds: now))
                total += duration
                used += now
                read += packs
                #expect(now <= max(0.01, duration / 20) + slowest)
            }
            #expect(read > 0 && used <= total / 20 + slowest + 400 * 0.01, "\(longest)")
        }
    }
}
