/// A pattern for paths: `*` and `?` stay within a component, `**` crosses them, `[a-z]` is a set.
///
/// A pattern without `/` matches the last component anywhere; one with `/` matches the whole path.
/// Works on bytes.
public struct GlobPattern: Sendable, Hashable {
    private let pattern: [UInt8]
    private let matchesNames: Bool

    public init(_ text: String) {
        var bytes = Array(text.utf8)
        while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        pattern = bytes
        matchesNames = !bytes.contains(UInt8(ascii: "/"))
    }

    /// Whether the absolute path `path` matches.
    public func matches(_ path: [UInt8]) -> Bool {
        let slash = UInt8(ascii: "/")
        let subject =
            matchesNames ? path[((path.lastIndex(of: slash) ?? -1) + 1)...] : path[...]
        return Self.match(pattern[...], subject)
    }

    private static func match(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
        let slash = UInt8(ascii: "/")
        var pattern = pattern
        var text = text
        // Where to go on when the last `*`, or else the last `**`, must take one byte more.
        var inner: (pattern: ArraySlice<UInt8>, text: ArraySlice<UInt8>)?
        var outer: (pattern: ArraySlice<UInt8>, text: ArraySlice<UInt8>)?
        while true {
            if let symbol = pattern.first {
                if symbol == UInt8(ascii: "*") {
                    let crosses = pattern.dropFirst().first == symbol
                    pattern = pattern.drop { $0 == symbol }
                    // `**/` also matches no component at all.
                    if crosses, pattern.first == slash, match(pattern.dropFirst(), text) {
                        return true
                    }
                    if crosses {
                        outer = (pattern, text)
                        inner = nil
                    } else {
                        inner = (pattern, text)
                    }
                    continue
                }
                if let byte = text.first, let rest = step(pattern, byte) {
                    pattern = rest
                    text = text.dropFirst()
                    continue
                }
            } else if text.isEmpty {
                return true
            }
            if let last = inner, let byte = last.text.first, byte != slash {
                inner = (last.pattern, last.text.dropFirst())
                (pattern, text) = (last.pattern, last.text.dropFirst())
            } else if let last = outer, !last.text.isEmpty {
                inner = nil
                outer = (last.pattern, last.text.dropFirst())
                (pattern, text) = (last.pattern, last.text.dropFirst())
            } else {
                return false
            }
        }
    }

    /// The rest of the pattern when its first symbol takes `byte`.
    private static func step(_ pattern: ArraySlice<UInt8>, _ byte: UInt8) -> ArraySlice<UInt8>? {
        guard let symbol = pattern.first else { return nil }
        switch symbol {
        case UInt8(ascii: "?"):
            return byte == UInt8(ascii: "/") ? nil : pattern.dropFirst()
        case UInt8(ascii: "["):
            guard let end = pattern.dropFirst(2).firstIndex(of: UInt8(ascii: "]")) else {
                return byte == symbol ? pattern.dropFirst() : nil
            }
            var set = pattern[(pattern.startIndex + 1)..<end]
            let isNegated = set.first == UInt8(ascii: "!") || set.first == UInt8(ascii: "^")
            if isNegated { set = set.dropFirst() }
            var isIn = false
            while let first = set.first {
                if set.count >= 3, set[set.startIndex + 1] == UInt8(ascii: "-") {
                    isIn = isIn || (first...max(first, set[set.startIndex + 2])).contains(byte)
                    set = set.dropFirst(3)
                } else {
                    isIn = isIn || first == byte
                    set = set.dropFirst()
                }
            }
            return isIn != isNegated && byte != UInt8(ascii: "/") ? pattern[(end + 1)...] : nil
        case UInt8(ascii: "\\") where pattern.count > 1:
            return pattern[pattern.startIndex + 1] == byte ? pattern.dropFirst(2) : nil
        default:
            return symbol == byte ? pattern.dropFirst() : nil
        }
    }
}
