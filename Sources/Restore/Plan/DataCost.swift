import Model

/// What writing a number of bytes takes: something for every step, and something for every byte.
///
/// Both are medians, so that a few odd measurements do not count: the slopes between all pairs of
/// measurements whose sizes differ, then what remains of each.
///
/// - SeeAlso: Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau", JASA 1968.
struct DataCost {
    private let seconds: Double
    private let secondsPerByte: Double

    /// By the bytes alone, as far as nothing better is known.
    static let proportional = DataCost(seconds: 0, secondsPerByte: 1)

    /// Sizes that differ less tell nothing about the cost of a byte.
    private static let leastRatio = 1.5
    /// Newest measurements that count: every pair of them is compared.
    private static let remembered = 60

    private init(seconds: Double, secondsPerByte: Double) {
        self.seconds = seconds
        self.secondsPerByte = secondsPerByte
    }

    /// Nil when the sizes are too alike, or what is larger took no longer.
    init?(_ measurements: [Measurement]) {
        let points = measurements.sorted { $0.at > $1.at }.prefix(Self.remembered).map {
            (size: Self.size($0.bytes), seconds: $0.duration.seconds)
        }
        var slopes: [Double] = []
        for (place, point) in points.enumerated() {
            for other in points[(place + 1)...] {
                let (less, more) = point.size < other.size ? (point, other) : (other, point)
                guard more.size >= less.size * Self.leastRatio else { continue }
                slopes.append((more.seconds - less.seconds) / (more.size - less.size))
            }
        }
        let slope = slopes.sorted().quantile(0.5)
        guard slope > 0 else { return nil }
        secondsPerByte = slope
        seconds = max(0, points.map { $0.seconds - slope * $0.size }.sorted().quantile(0.5))
    }

    /// How many times as long some bytes take as others.
    func ratio(_ bytes: ByteCount, to other: ByteCount) -> Double {
        (seconds + secondsPerByte * Self.size(bytes))
            / (seconds + secondsPerByte * Self.size(other))
    }

    /// Bytes to compare durations by: below a megabyte it is not the bytes that take the time.
    private static func size(_ bytes: ByteCount) -> Double { max(1_048_576, Double(bytes.bytes)) }
}

extension [Double] {
    /// The value below which a fraction of them lies, between neighbours in proportion; 0 for none.
    ///
    /// They must be in ascending order.
    func quantile(_ fraction: Double) -> Double {
        guard let last else { return 0 }
        let position = fraction * Double(count - 1)
        let index = Int(position)
        guard index + 1 < count else { return last }
        let part = position - Double(index)
        return self[index] * (1 - part) + self[index + 1] * part
    }
}
