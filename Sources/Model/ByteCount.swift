/// A number of bytes that prints itself in binary units.
public struct ByteCount: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// The count, in bytes.
    public var bytes: UInt64

    /// A count of `bytes` bytes.
    public init(_ bytes: UInt64) { self.bytes = bytes }

    /// Reads a plain number of bytes, as JSON has it.
    public init(from decoder: any Decoder) throws {
        bytes = try decoder.singleValueContainer().decode(UInt64.self)
    }

    /// Writes a plain number of bytes.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(bytes)
    }

    /// Parses `4096`, `64KiB`, `1.5 GiB`, `20MB` (decimal units are powers of 1000).
    public init?(parsing text: String) {
        let trimmed = text.filter { $0 != " " }
        let digits = trimmed.prefix { $0.isNumber || $0 == "." }
        guard let value = Double(digits), value >= 0 else { return nil }
        let units: [String: Double] = [
            "": 1, "b": 1, "k": 1024, "kib": 1024, "m": 1_048_576, "mib": 1_048_576,
            "g": 1_073_741_824, "gib": 1_073_741_824, "t": 1_099_511_627_776,
            "tib": 1_099_511_627_776, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
        ]
        guard let unit = units[trimmed.dropFirst(digits.count).lowercased()] else { return nil }
        let product = value * unit
        guard product < 9.2e18 else { return nil }
        bytes = UInt64(product)
    }

    /// For example `512 B`, `64.0 KiB`, `1.4 GiB`.
    public var description: String {
        guard bytes >= 1024 else { return "\(bytes) B" }
        var value = Double(bytes)
        var unit = 0
        let names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        while value >= 1023.95, unit < names.count - 1 {
            value /= 1024
            unit += 1
        }
        return "\(value.rounded(toPlaces: 1)) \(names[unit])"
    }

    public static func < (left: Self, right: Self) -> Bool { left.bytes < right.bytes }
    /// The sum; the largest count where there is no larger one, whatever a repository claims.
    public static func + (left: Self, right: Self) -> Self {
        let (sum, overflow) = left.bytes.addingReportingOverflow(right.bytes)
        return Self(overflow ? .max : sum)
    }
    public static func += (left: inout Self, right: Self) { left = left + right }
}

extension Double {
    /// Decimal text with exactly `places` digits after the point (0 to 9).
    public func rounded(toPlaces places: Int) -> String {
        guard isFinite else { return "\(self)" }
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let scaled = (magnitude * scale).rounded()
        guard scaled < 9e18 else { return "\(self)" }
        let whole = UInt64(scaled)
        let sign = self < 0 && whole > 0 ? "-" : ""
        guard places > 0 else { return "\(sign)\(whole)" }
        let divisor = UInt64(scale)
        let fraction = String(whole % divisor)
        let padding = String(repeating: "0", count: places - fraction.count)
        return "\(sign)\(whole / divisor).\(padding)\(fraction)"
    }
}
