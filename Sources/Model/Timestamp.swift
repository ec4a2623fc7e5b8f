/// A moment in UTC, to the nanosecond, in the proleptic Gregorian calendar.
///
/// Covers the years 1677 to 2262. Ordering between machines is only as good as their clocks: nothing
/// in the repository depends on it for safety.
public struct Timestamp: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    public var nanoseconds: Int64

    /// A moment `nanoseconds` after 1970-01-01T00:00:00Z.
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// A moment from the two fields of a C `timespec`; what lies outside the range is clamped to it.
    public init(seconds: Int, nanoseconds: Int) {
        let (product, overflow) = Int64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, again) = product.addingReportingOverflow(Int64(nanoseconds))
        self.nanoseconds = overflow || again ? (seconds < 0 ? .min : .max) : sum
    }

    /// Whole seconds since 1970, rounded down.
    public var wholeSeconds: Int64 {
        let quotient = nanoseconds / 1_000_000_000
        return nanoseconds % 1_000_000_000 < 0 ? quotient - 1 : quotient
    }

    /// Nanoseconds within the second, 0 to 999,999,999.
    public var fraction: Int64 { nanoseconds - wholeSeconds &* 1_000_000_000 }

    /// Parses RFC 3339, for example `2026-11-22T03:00:00Z` or `2026-11-22T03:00:00.25+01:00`.
    public init?(rfc3339 text: String) {
        let bytes = Array(text.utf8)
        func number(_ start: Int, _ count: Int) -> Int? {
            guard start + count <= bytes.count else { return nil }
            var value = 0
            for byte in bytes[start..<(start + count)] {
                guard byte >= 48, byte <= 57 else { return nil }
                value = value * 10 + Int(byte - 48)
            }
            return value
        }
        func at(_ index: Int) -> UInt8 { index < bytes.count ? bytes[index] : 0 }
        guard let year = number(0, 4), at(4) == 45, let month = number(5, 2), at(7) == 45,
            let day = number(8, 2), at(10) == 84 || at(10) == 116 || at(10) == 32,
            let hour = number(11, 2), at(13) == 58, let minute = number(14, 2), at(16) == 58,
            let second = number(17, 2), (1...12).contains(month), (1...31).contains(day),
            hour < 24, minute < 60, second < 61, (1678...2261).contains(year)
        else { return nil }
        var position = 19
        var fraction: Int64 = 0
        if at(position) == 46 {
            position += 1
            var scale: Int64 = 100_000_000
            let start = position
            while at(position) >= 48, at(position) <= 57 {
                fraction += Int64(at(position) - 48) * scale
                scale /= 10
                position += 1
            }
            guard position > start else { return nil }
        }
        var offset = 0
        switch at(position) {
        case 90, 122: position += 1
        case 43, 45:
            guard let hours = number(position + 1, 2), at(position + 3) == 58,
                let minutes = number(position + 4, 2)
            else { return nil }
            offset = (hours * 3600 + minutes * 60) * (at(position) == 43 ? 1 : -1)
            position += 6
        default: return nil
        }
        guard position == bytes.count else { return nil }
        let days = Self.days(year: year, month: month, day: day)
        let seconds = Int64(days * 86400 + hour * 3600 + minute * 60 + second - offset)
        nanoseconds = seconds * 1_000_000_000 + fraction
    }

    /// RFC 3339 in UTC; the fraction is left out when it is zero.
    public var description: String {
        let text = secondsDescription
        guard fraction != 0 else { return text + "Z" }
        var digits = String(fraction)
        digits = String(repeating: "0", count: 9 - digits.count) + digits
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(text).\(digits)Z"
    }

    /// For tables: `2026-11-22 03:00:00Z`.
    public var shortDescription: String {
        secondsDescription.replacing("T", with: " ") + "Z"
    }

    private var secondsDescription: String {
        let seconds = wholeSeconds
        let days = Int((seconds >= 0 ? seconds : seconds - 86399) / 86400)
        let rest = Int(seconds) - days * 86400
        let (year, month, day) = Self.civil(days: days)
        func pad(_ value: Int, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        return "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))"
            + "T\(pad(rest / 3600, 2)):\(pad(rest % 3600 / 60, 2)):\(pad(rest % 60, 2))"
    }

    /// Year, month and day in UTC.
    public var date: (year: Int, month: Int, day: Int) {
        let seconds = wholeSeconds
        return Self.civil(days: Int((seconds >= 0 ? seconds : seconds - 86399) / 86400))
    }

    /// Days since 1970-01-01; negative before it.
    ///
    /// - SeeAlso: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    public static func days(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private static func civil(days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    /// Reads RFC 3339.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let parsed = Timestamp(rfc3339: text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "not an RFC 3339 time: \(text)")
        }
        self = parsed
    }

    /// Writes RFC 3339.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }
    /// The span from `right` to `left`.
    public static func - (left: Self, right: Self) -> TimeSpan {
        TimeSpan(nanoseconds: left.nanoseconds &- right.nanoseconds)
    }
    /// The moment `right` after `left`; the last or first that there is beyond those.
    public static func + (left: Self, right: TimeSpan) -> Self {
        let (sum, overflow) = left.nanoseconds.addingReportingOverflow(right.nanoseconds)
        return Self(nanoseconds: overflow ? (right.nanoseconds < 0 ? .min : .max) : sum)
    }
}
