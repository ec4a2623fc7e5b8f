/// A 256-bit name that cannot be confused with a name of another kind.
///
/// `Kind` is never instantiated: it only keeps a pack's name from being passed for a chunk's.
public struct Identifier<Kind>: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// The bytes, as four big-endian words, so that comparing words compares bytes.
    public let words: (UInt64, UInt64, UInt64, UInt64)

    /// How many bytes a name has.
    public static var byteCount: Int { 32 }

    /// The name with these words, most significant first.
    public init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

    /// The name held in the first 32 bytes of `bytes`, which must have that many.
    public init(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count >= Self.byteCount)
        words = (
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
        )
    }

    /// The name held in exactly 32 bytes; nil for another number.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self = Array(bytes).withUnsafeBytes { Identifier($0) }
    }

    /// The name in 64 hexadecimal digits; nil for anything else.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count == 64, let bytes = Hexadecimal.decode(text) else { return nil }
        self.init(bytes: bytes)
    }

    /// A name from the system's random numbers.
    public static func random() -> Self {
        var generator = SystemRandomNumberGenerator()
        return Self(
            words: (generator.next(), generator.next(), generator.next(), generator.next()))
    }

    /// All bits zero.
    public static var zero: Self { Self(words: (0, 0, 0, 0)) }

    /// The 32 bytes.
    public var bytes: [UInt8] {
        withUnsafeBytes { Array($0) }
    }

    /// Calls `body` with the 32 bytes.
    public func withUnsafeBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        let big = (
            words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian
        )
        return try Swift.withUnsafeBytes(of: big, body)
    }

    /// 64 hexadecimal digits.
    public var description: String { Hexadecimal.encode(bytes) }

    /// The first eight digits, enough for a person to tell two apart.
    public var short: String { String(description.prefix(8)) }

    public static func == (left: Self, right: Self) -> Bool { left.words == right.words }
    public static func < (left: Self, right: Self) -> Bool { left.words < right.words }

    /// Uses 64 of the bits: they are already the output of a hash or of a random generator.
    public func hash(into hasher: inout Hasher) { hasher.combine(words.0 ^ words.3) }

    /// Reads 64 hexadecimal digits.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let parsed = Self(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "not a 256-bit name in hexadecimal")
        }
        self = parsed
    }

    /// Writes 64 hexadecimal digits.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// What an ``Identifier`` names.
public enum ChunkKind {}
public enum PackKind {}
public enum SnapshotKind {}
public enum RepositoryKind {}
public enum RunKind {}
public enum WriterKind {}

/// Names a chunk: the keyed hash of its plaintext.
public typealias ChunkID = Identifier<ChunkKind>
/// Names a pack: random, and the salt of the pack's key.
public typealias PackID = Identifier<PackKind>
/// Names a snapshot: random.
public typealias SnapshotID = Identifier<SnapshotKind>
/// Names a repository: random, made by `dr init`.
public typealias RepositoryID = Identifier<RepositoryKind>
/// Names a run of `dr`, and with it the recovery point that a backup run made.
public typealias RunID = Identifier<RunKind>
/// Names one machine's catalog as a writer into a repository.
public typealias WriterID = Identifier<WriterKind>

/// The name of a service, as the configuration has it.
public struct ServiceName: Hashable, Comparable, Sendable, Codable, CustomStringConvertible,
    ExpressibleByStringLiteral
{
    /// The text of the name.
    public let text: String

    public init(_ text: String) { self.text = text }
    public init(stringLiteral value: String) { text = value }
    public init(from decoder: any Decoder) throws {
        text = try decoder.singleValueContainer().decode(String.self)
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
    public var description: String { text }
    public static func < (left: Self, right: Self) -> Bool { left.text < right.text }
}

/// The lasting identity of one workload: `service/kind:name`, for example `umami-db/postgres:umami-db`.
///
/// A workload's previous snapshot is the one with the same identity, whatever else was backed up
/// since.
public struct WorkloadID: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// The whole text.
    public let text: String

    public init(service: ServiceName, kind: WorkloadKind, name: String) {
        text = "\(service.text)/\(kind.rawValue):\(name)"
    }
    public init(text: String) { self.text = text }
    public init(from decoder: any Decoder) throws {
        text = try decoder.singleValueContainer().decode(String.self)
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
    public var description: String { text }
    public static func < (left: Self, right: Self) -> Bool { left.text < right.text }
}

/// What kind of system a workload lives in; names its driver.
///
/// A repository may hold snapshots of kinds that only a later release knows: they are listed,
/// checked and kept like all others.
public struct WorkloadKind: RawRepresentable, Codable, Hashable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    public static let files = Self(rawValue: "files")
    public static let sqlite = Self(rawValue: "sqlite")
    public static let docker = Self(rawValue: "docker")
    public static let postgres = Self(rawValue: "postgres")
    public static let mariadb = Self(rawValue: "mariadb")
    public static let command = Self(rawValue: "command")
    public static let proxmox = Self(rawValue: "proxmox")
}
