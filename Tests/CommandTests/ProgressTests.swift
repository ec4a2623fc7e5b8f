import Model
import Testing

@testable import dr

@Suite("Progress")
struct ProgressTests {
    private func line(_ total: ByteCount?) -> ProgressLine {
        var state = ProgressState(title: "backup")
        state.current = "umami-db"
        state.bytesTotal = total
        state.stepsDone = 2
        state.stepsTotal = 5
        var meter = ProgressMeter()
        for second in 0...20 {
            state.bytesDone = ByteCount(UInt64(second) << 20)
            meter.sample(state.bytesDone, at: TimeSpan(seconds: Double(second)))
        }
        return ProgressLine(state: state, meter: meter, elapsed: TimeSpan(seconds: 20))
    }

    @Test("A log gets a whole sentence")
    func sentence() {
        #expect(
            line(ByteCount(80 << 20)).sentence.rendered(coloured: false)
                == "backup: step 2/5, umami-db, 25 %, 20.0 MiB of 80.0 MiB, 1.0 MiB/s,"
                + " 1 min 00 s left")
        #expect(
            line(nil).sentence.rendered(coloured: false)
                == "backup: step 2/5, umami-db, 20.0 MiB, 1.0 MiB/s, 20 s so far")
    }

    @Test("A terminal gets a bar that fits it", arguments: [20, 60, 80, 100, 200])
    func bar(_ width: Int) {
        let text = line(ByteCount(80 << 20)).bar(width: width).rendered(coloured: false)
        #expect(text.hasPrefix("backup 2/5 umami-db  "))
        #expect(text.hasSuffix("25 %  20.0 MiB of 80.0 MiB  1.0 MiB/s  1 min 00 s left"))
        if width == 100 {
            #expect(text.contains("[====>") && columns(of: text) < width)
        }
    }

    @Test("The speed is the present one, not that since the beginning")
    func presentSpeed() throws {
        var meter = ProgressMeter()
        #expect(meter.rate == nil)
        for second in 0...100 {
            // A hundred bytes a second, then ten.
            let bytes = second <= 50 ? second * 100 : 5000 + (second - 50) * 10
            meter.sample(ByteCount(UInt64(bytes)), at: TimeSpan(seconds: Double(second)))
        }
        let rate = try #require(meter.rate)
        #expect(rate > 9 && rate < 11)
    }

    @Test("Nothing is promised without a speed or a total")
    func unknown() {
        var state = ProgressState(title: "x")
        var meter = ProgressMeter()
        meter.sample(ByteCount(0), at: .zero)
        meter.sample(ByteCount(0), at: TimeSpan(seconds: 5))
        state.bytesTotal = ByteCount(100)
        #expect(meter.remaining(state) == nil)
        state.bytesTotal = nil
        #expect(state.fraction == nil)
        state.bytesTotal = ByteCount(10)
        state.bytesDone = ByteCount(11)
        #expect(state.fraction == 1)
    }
}
