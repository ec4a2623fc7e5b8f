/// A measured or configured length of time; JSON has it as decimal seconds.
public struct TimeSpan: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// The length, in nanoseconds; negative only where a clock was wrong.
    public var nanoseconds: Int64

    /// A span of `nanoseconds`.
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// A span of `seconds`, rounded to nanoseconds.
    public init(seconds: Double) { nanoseconds = Int64((seconds * 1e9).rounded()) }

    /// A span as long as `duration`.
    public init(_ duration: Duration) {
        let parts = duration.components
        nanoseconds = parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000
    }

    /// Reads decimal seconds.
    public init(from decoder: any Decoder) throws {
        self.init(seconds: try decoder.singleValueContainer().decode(Double.self))
    }

    /// Writes decimal seconds.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(seconds)
    }

    /// The length in seconds.
    public var seconds: Double { Double(nanoseconds) / 1e9 }

    /// The same length as the standard library's type.
    public var duration: Duration { .nanoseconds(nanoseconds) }

    /// Parses `90`, `90s`, `15m`, `1h`, `1h30m`, `7d`, `2w`; a bare number is seconds.
    public init?(parsing text: String) {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800]
        var total = 0.0
        var number = ""
        for character in text where character != " " {
            if character.isNumber || character == "." {
                number.append(character)
            } else if let unit = units[character], let value = Double(number) {
                total += value * unit
                number = ""
            } else {
                return nil
            }
        }
        if !number.isEmpty {
            guard total == 0, let value = Double(number) else { return nil }
            total = value
        } else if text.allSatisfy({ $0 == " " }) {
            return nil
        }
        guard total < 9e9 else { return nil }
        self.init(seconds: total)
    }

    /// For example `0.4 s`, `12 s`, `4 min 05 s`, `1 h 05 min`, `3 d 02 h`.
    public var description: String {
        // The most negative number has no positive counterpart.
        let positive = nanoseconds == .min ? .max : abs(nanoseconds)
        if nanoseconds < 0 { return "-" + TimeSpan(nanoseconds: positive).description }
        if seconds < 9.95 { return "\(seconds.rounded(toPlaces: 1)) s" }
        let whole = Int64(seconds.rounded())
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        if whole < 60 { return "\(whole) s" }
        if whole < 3600 { return "\(whole / 60) min \(two(whole % 60)) s" }
        if whole < 86400 { return "\(whole / 3600) h \(two(whole % 3600 / 60)) min" }
        return "\(whole / 86400) d \(two(whole % 86400 / 3600)) h"
    }

    public static let zero = TimeSpan(nanoseconds: 0)
    public static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }
    public static func + (left: Self, right: Self) -> Self {
        Self(nanoseconds: left.nanoseconds + right.nanoseconds)
    }
    public static func - (left: Self, right: Self) -> Self {
        Self(nanoseconds: left.nanoseconds - right.nanoseconds)
    }
    public static func += (left: inout Self, right: Self) { left.nanoseconds += right.nanoseconds }
}
