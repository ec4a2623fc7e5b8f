import Engine
public import Model

/// How a bucket is reached.
public struct S3Options: Hashable, Sendable {
    /// Whether the bucket stands in the path or in the host's name.
    public enum Style: String, Hashable, Sendable, CaseIterable {
        case automatic, path, virtual
    }

    /// Instead of the one in the address.
    public var endpoint: S3Endpoint?
    /// nil for what the endpoint's name says, else `us-east-1`.
    public var region: String?
    public var style = Style.automatic
    /// A file of certificates in PEM that the store is trusted by; nil for the system's.
    public var certificateAuthorities: String?
    /// Longest time that one call is tried for, besides what its bytes take.
    public var deadline = TimeSpan(seconds: 300)
    /// Most requests under way at once.
    public var connections = 16
    /// Bytes a second that all uploads, and all downloads, may have together; nil for no limit.
    public var uploadRate: ByteCount?
    public var downloadRate: ByteCount?
    /// How long nobody may delete or replace what is stored; nil for as long as nobody does.
    public var retention: S3Retention?

    public init() {}
}

/// What requests are signed with. Prints nothing of it.
public struct S3Credentials: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    public var accessKey: String
    public var secretKey: String
    /// Of temporary credentials.
    public var sessionToken: String?

    public init(accessKey: String, secretKey: String, sessionToken: String? = nil) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.sessionToken = sessionToken
    }

    public var description: String { "S3 credentials" }
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// Reads one profile of a file like `~/.aws/credentials`.
    ///
    /// - Parameters:
    ///   - text: The file's text.
    ///   - profile: The name in brackets; lines before any belong to `default`.
    /// - Returns: nil where the file has no such profile.
    /// - Throws: `Failure` for a profile that has no keys; nothing of the file is in it.
    public init?(file text: String, profile wanted: String) throws {
        var profile = "default"
        var isThere = false
        var values: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            let line = Self.trimmed(line)
            if line.isEmpty || line.hasPrefix("#") || line.hasPrefix(";") { continue }
            if line.hasPrefix("["), line.hasSuffix("]") {
                profile = Self.trimmed(line.dropFirst().dropLast())
                if profile.hasPrefix("profile ") {
                    profile = Self.trimmed(profile.dropFirst("profile ".count))
                }
                if profile == wanted { isThere = true }
                continue
            }
            guard profile == wanted, let equals = line.firstIndex(of: "=") else { continue }
            isThere = true
            let name = Self.trimmed(line[..<equals]).lowercased()
            values[name] = Self.trimmed(line[line.index(after: equals)...])
        }
        guard isThere else { return nil }
        guard let access = values["aws_access_key_id"], !access.isEmpty,
            let secret = values["aws_secret_access_key"], !secret.isEmpty
        else {
            throw Failure(
                .usage,
                "the profile \(wanted) has no aws_access_key_id or no aws_secret_access_key",
                hint: "dr takes keys alone: sign-on and credential_process are not supported",
                side: .local)
        }
        self.init(
            accessKey: access, secretKey: secret, sessionToken: values["aws_session_token"])
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        let blank: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" }
        var rest = String(text).drop(while: blank)
        while let last = rest.last, blank(last) { rest = rest.dropLast() }
        return String(rest)
    }
}
