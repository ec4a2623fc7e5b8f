import Model

/// Where a repository is, as people write it: a directory, a bucket, a directory that SSH reaches.
public enum StorePlace: Hashable, Sendable {
    case directory(String)
    case s3(S3Address)
    case sftp(SFTPAddress)

    /// Why a text names no such place; `message` completes "<what> ".
    public struct Problem: Error, Hashable, Sendable {
        public var message: String
        public var hint: String?

        init(_ message: String, hint: String? = nil) {
            self.message = message
            self.hint = hint
        }
    }

    /// Understands `/srv/dr`, `s3:https://host:port/bucket/prefix`, `s3://bucket/prefix`,
    /// `sftp:user@host:/path` and `sftp://user@host:port/path`.
    public init(parsing text: String) throws(Problem) {
        let scheme = text.prefix { $0 != ":" && $0 != "/" }
        guard !scheme.isEmpty, text.dropFirst(scheme.count).hasPrefix(":") else {
            self = .directory(text)
            return
        }
        let rest = String(text.dropFirst(scheme.count + 1))
        switch scheme {
        case "s3": self = .s3(try S3Address(parsing: rest))
        case "sftp": self = .sftp(try SFTPAddress(parsing: rest))
        default:
            guard !rest.hasPrefix("/") else {
                throw Problem(
                    "names a kind of repository that this version does not support: \(scheme):",
                    hint: "write the path of a directory, s3:https://host/bucket/prefix or"
                        + " sftp:user@host:/path")
            }
            self = .directory(text)
        }
    }

    /// Whether it is on this machine.
    public var isDirectory: Bool {
        if case .directory = self { true } else { false }
    }

    /// As people write it; of two texts that mean the same place the same one.
    public var text: String {
        switch self {
        case .directory(let path): path
        case .s3(let address): address.description
        case .sftp(let address): address.description
        }
    }

    /// The components of a path inside a store; nil where one cannot be used.
    static func components(_ path: some StringProtocol) -> [String]? {
        let components = String(path).split(separator: "/").map(String.init)
        let isUsable = components.allSatisfy { component in
            component != "." && component != ".."
                && component.utf8.allSatisfy { $0 > 32 && $0 != 127 }
        }
        return isUsable ? components : nil
    }

    /// What a repository keeps at the top of its place.
    static let ownNames: Set<String> = [
        "config", "reserve", "keys", "packs", "snapshots", "writers", "sessions", "condemned",
        "damaged",
    ]
}
