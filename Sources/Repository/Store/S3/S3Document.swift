import Model

/// What is needed of the XML that stores answer with: the texts of its elements, in order.
///
/// Attributes, comments and everything else are passed over. A document whose outermost element is
/// not closed was cut short and is none.
enum S3Document {
    /// Calls `body` at the end of each element, with the names from the outermost to its own, and its
    /// own text.
    ///
    /// - Returns: Whether the document is whole.
    static func read(
        _ bytes: some Collection<UInt8>, _ body: (_ path: [String], _ text: String) -> Void
    ) -> Bool {
        let bytes = Array(bytes)
        var path: [String] = []
        var text: [UInt8] = []
        var position = 0
        var isWhole = false
        while position < bytes.count {
            guard bytes[position] == UInt8(ascii: "<") else {
                text.append(bytes[position])
                position += 1
                continue
            }
            guard let end = bytes[position...].firstIndex(of: UInt8(ascii: ">")) else {
                return false
            }
            let tag = bytes[(position + 1)..<end]
            position = end + 1
            guard let first = tag.first else { return false }
            if first == UInt8(ascii: "?") || first == UInt8(ascii: "!") { continue }
            if first == UInt8(ascii: "/") {
                guard path.last == name(tag.dropFirst()) else { return false }
                body(path, decoded(text))
                path.removeLast()
                text = []
                if path.isEmpty { isWhole = true }
                continue
            }
            guard path.count < 32 else { return false }
            path.append(name(tag))
            text = []
            if tag.last == UInt8(ascii: "/") {
                body(path, "")
                path.removeLast()
                if path.isEmpty { isWhole = true }
            }
        }
        return isWhole && path.isEmpty
    }

    /// Without its namespace's prefix and its attributes.
    private static func name(_ tag: ArraySlice<UInt8>) -> String {
        let whole = tag.prefix { $0 > 32 && $0 != UInt8(ascii: "/") }
        let local = whole.lastIndex(of: UInt8(ascii: ":")).map { whole[($0 + 1)...] } ?? whole
        return String(decoding: local, as: UTF8.self)
    }

    private static func decoded(_ text: [UInt8]) -> String {
        let raw = String(decoding: text, as: UTF8.self)
        guard raw.contains("&") else { return raw }
        var result = ""
        var rest = raw[...]
        while let ampersand = rest.firstIndex(of: "&") {
            result += rest[..<ampersand]
            rest = rest[ampersand...]
            guard let semicolon = rest.prefix(12).firstIndex(of: ";") else {
                result.append("&")
                rest = rest.dropFirst()
                continue
            }
            let entity = rest[rest.index(after: rest.startIndex)..<semicolon]
            result += character(entity) ?? "\u{FFFD}"
            rest = rest[rest.index(after: semicolon)...]
        }
        return result + rest
    }

    private static func character(_ entity: Substring) -> String? {
        switch entity {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        default:
            guard entity.hasPrefix("#") else { return nil }
            let digits = entity.dropFirst()
            let value =
                digits.first == "x" || digits.first == "X"
                ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
            return value.flatMap { Unicode.Scalar($0) }.map { String(Character($0)) }
        }
    }
}

/// One page of a listing.
struct S3Listing {
    struct Entry {
        var key: String
        var size: UInt64
        var modified: Timestamp
    }
    var entries: [Entry] = []
    /// What stands before the next slash of names that were folded.
    var folders: [String] = []
    var isTruncated = false
    var next: String?

    /// nil when it is not a whole listing.
    init?(_ bytes: [UInt8]) {
        var listing = S3Listing()
        var key: String?
        var size: UInt64?
        var modified: Timestamp?
        var isListing = false
        var isSound = true
        let isWhole = S3Document.read(bytes) { path, text in
            guard path.first == "ListBucketResult" else { return }
            isListing = true
            switch path.dropFirst().joined(separator: "/") {
            case "Contents/Key": key = text
            case "Contents/Size": size = UInt64(text)
            case "Contents/LastModified": modified = Timestamp(rfc3339: text)
            case "Contents":
                if let key, let size, let modified {
                    listing.entries.append(Entry(key: key, size: size, modified: modified))
                } else {
                    isSound = false
                }
                (key, size, modified) = (nil, nil, nil)
            case "CommonPrefixes/Prefix": listing.folders.append(text)
            case "IsTruncated": listing.isTruncated = text == "true"
            case "NextContinuationToken": listing.next = text
            default: break
            }
        }
        guard isWhole, isListing, isSound else { return nil }
        self = listing
    }

    private init() {}
}

/// What a store says when it refuses.
struct S3Refusal {
    var code = ""
    var message = ""
    var region: String?

    init(_ bytes: [UInt8]) {
        var found = S3Refusal()
        _ = S3Document.read(bytes.prefix(64 << 10)) { path, text in
            guard path.first == "Error", path.count == 2 else { return }
            switch path[1] {
            case "Code": found.code = text
            case "Message": found.message = text
            case "Region": found.region = text
            default: break
            }
        }
        self = found
    }

    private init() {}
}
