import Model

/// A bucket of an S3-compatible store, and where in it.
public struct S3Address: Hashable, Sendable, CustomStringConvertible {
    /// `http` or `https`, host and port; nil for Amazon's own, or what the configuration names.
    public var endpoint: S3Endpoint?
    public var bucket: String
    /// What names of objects begin with, without slashes at its ends; may be empty.
    public var prefix: String

    private static let hint = "write for example s3:https://s3.example.org/bucket/prefix"
    fileprivate static let secret = StorePlace.Problem(
        "holds a user or password, which would show up in reports",
        hint: "put the keys into a file and name it with credentials_file, or set"
            + " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")

    /// - Parameter text: What follows `s3:`.
    init(parsing text: String) throws(StorePlace.Problem) {
        var path: Substring
        if text.hasPrefix("//") {
            endpoint = nil
            path = text.dropFirst(2)
            let first = path.prefix { $0 != "/" }
            if first.contains("@") { throw Self.secret }
            if first.contains(":") || first.hasSuffix(".amazonaws.com") {
                throw StorePlace.Problem(
                    "names a host where s3:// names a bucket: \"\(first)\"", hint: Self.hint)
            }
        } else {
            let (scheme, rest) = Self.split(text)
            let authority = rest.prefix { $0 != "/" }
            endpoint = try S3Endpoint(scheme: scheme, authority: String(authority))
            path = rest.dropFirst(authority.count).drop { $0 == "/" }
        }
        guard !path.contains(where: { "?#".contains($0) }),
            let components = StorePlace.components(path)
        else {
            throw StorePlace.Problem(
                "holds a name that no bucket can have: \"\(path)\"", hint: Self.hint)
        }
        guard let bucket = components.first else {
            throw StorePlace.Problem("names no bucket", hint: Self.hint)
        }
        let isName =
            (1...255).contains(bucket.utf8.count)
            && bucket.allSatisfy {
                $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0))
            }
        guard isName else {
            throw StorePlace.Problem(
                "holds a name that no bucket can have: \"\(bucket)\"", hint: Self.hint)
        }
        self.bucket = bucket
        prefix = components.dropFirst().joined(separator: "/")
    }

    private static func split(_ text: String) -> (scheme: String, rest: Substring) {
        for scheme in ["http", "https"] where text.hasPrefix(scheme + "://") {
            return (scheme, text.dropFirst(scheme.count + 3))
        }
        return ("https", text[...])
    }

    public var description: String {
        let path = prefix.isEmpty ? bucket : "\(bucket)/\(prefix)"
        return endpoint.map { "s3:\($0)/\(path)" } ?? "s3://\(path)"
    }
}

/// Where an S3-compatible store answers.
public struct S3Endpoint: Hashable, Sendable, CustomStringConvertible {
    public var scheme: String
    /// Host and, unless it is the scheme's own, port.
    public var authority: String

    init(scheme: String, authority: String) throws(StorePlace.Problem) {
        let hint = "write for example s3:https://s3.example.org/bucket/prefix"
        if authority.contains("@") { throw S3Address.secret }
        var host = authority[...]
        if let colon = host.lastIndex(of: ":"), !host.hasSuffix("]") {
            let port = host[host.index(after: colon)...]
            guard let number = UInt16(port), number > 0 else {
                throw StorePlace.Problem("names no port: \"\(authority)\"", hint: hint)
            }
            host = host[..<colon]
        }
        let isHost = host.allSatisfy {
            $0.isASCII && ($0.isLetter || $0.isNumber || ".-_[]:%".contains($0))
        }
        guard !host.isEmpty, isHost else {
            throw StorePlace.Problem("names no host: \"\(authority)\"", hint: hint)
        }
        self.scheme = scheme
        let standard = scheme == "https" ? ":443" : ":80"
        self.authority =
            (authority.hasSuffix(standard)
            ? String(authority.dropLast(standard.count)) : authority).lowercased()
    }

    /// Understands `https://host:port`, and `host` for https.
    public init(parsing text: String) throws(StorePlace.Problem) {
        let isPlain = text.hasPrefix("http://")
        let rest = text.dropFirst(isPlain ? 7 : text.hasPrefix("https://") ? 8 : 0)
        let authority = rest.hasSuffix("/") ? rest.dropLast() : rest
        try self.init(scheme: isPlain ? "http" : "https", authority: String(authority))
    }

    /// Amazon's, in a region.
    static func amazon(region: String) throws(StorePlace.Problem) -> S3Endpoint {
        try S3Endpoint(scheme: "https", authority: "s3.\(region).amazonaws.com")
    }

    var isAmazon: Bool { authority.hasSuffix(".amazonaws.com") }

    /// The region that one of Amazon's endpoints names: `s3.<region>.amazonaws.com`.
    var region: String? {
        guard isAmazon else { return nil }
        let parts = authority.dropLast(".amazonaws.com".count).split(separator: ".")
        return parts.count > 1 ? parts.last.map(String.init) : nil
    }

    public var description: String { "\(scheme)://\(authority)" }
}
