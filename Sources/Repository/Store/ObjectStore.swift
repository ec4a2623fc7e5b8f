public import FoundationEssentials
public import Model

/// Names one object of a store: `/`-separated components of lower-case letters, digits, `-`, `_` and `.`.
public struct ObjectKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let path: String

    /// - Precondition: `path` is an object's name, as ``init(validating:)`` has it.
    public init(_ path: String) {
        precondition(Self.isValid(path), "not an object's name: \(path)")
        self.path = path
    }

    /// The key with this path; nil when it is absolute, has an empty component or one that begins
    /// with a dot, or other characters than lower-case letters, digits, `-`, `_` and `.`.
    public init?(validating path: String) {
        guard Self.isValid(path) else { return nil }
        self.path = path
    }

    private static func isValid(_ path: String) -> Bool {
        !path.isEmpty
            && path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
                !$0.isEmpty && $0.first != "." && $0.utf8.allSatisfy(isAllowed)
            }
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    /// The last component.
    public var name: String { path.split(separator: "/").last.map(String.init) ?? path }

    public var description: String { path }
    public static func < (left: Self, right: Self) -> Bool { left.path < right.path }
}

/// An object as a listing shows it.
public struct StoredObject: Hashable, Sendable {
    public var key: ObjectKey
    /// Size in bytes.
    public var size: UInt64
    /// When the store took it, by the store's clock.
    public var stored: Timestamp

    public init(key: ObjectKey, size: UInt64, stored: Timestamp) {
        self.key = key
        self.size = size
        self.stored = stored
    }
}

/// Which bytes of an object.
public enum ObjectRange: Hashable, Sendable {
    case whole
    /// `length` bytes from `offset`; fewer only when the object ends before.
    case bytes(offset: UInt64, length: Int)
    /// The last bytes; all of a shorter object.
    case suffix(Int)
}

/// Keeps named, write-once objects. What it promises, every implementation does:
///
/// - `put` has returned: the object is durable and whole under its name. `put` has thrown or never
///   returned: the object is whole or absent, never part of it.
/// - `put` of the same bytes under the same name again is harmless.
/// - `list` shows every object whose `put` returned before it was called, except where a store says
///   that its listings may lag. Nobody concludes from one listing that something is lost.
/// - `get` and `size` of a name that is not there throw ``ObjectMissing`` and return nil.
/// - Calls may overlap, as many as the caller likes.
/// - Errors are ``Failure`` with side `.repository`; no space is exit code 14; what may pass when
///   tried again is transient.
public protocol ObjectStore: Sendable {
    /// The place, for people; holds no secret.
    var place: String { get }

    /// Stores the concatenation of `parts`, whose memory is used for something else afterwards: copy
    /// what is kept.
    func put(_ key: ObjectKey, _ parts: [Data]) async throws

    /// The bytes of an object.
    func get(_ key: ObjectKey, _ range: ObjectRange) async throws -> Data

    /// Size in bytes; nil when there is no such object.
    func size(_ key: ObjectKey) async throws -> UInt64?

    /// All objects whose name begins with `prefix`, a whole number of components, in no order.
    func list(_ prefix: String) async throws -> [StoredObject]

    /// Removes an object; one that is already gone is no error.
    func delete(_ key: ObjectKey) async throws

    /// Whether a little space is kept aside for the day on which there is none left.
    var keepsReserve: Bool { get }

    /// The store's own clock, for leases; differs from this machine's by any amount.
    func now() async throws -> Timestamp
}

extension ObjectStore {
    /// A whole object that has at most `limit` bytes: memory is not the store's to spend.
    ///
    /// - Throws: ``FormatError`` when there are more.
    func get(_ key: ObjectKey, atMost limit: Int) async throws -> Data {
        let bytes = try await get(key, .bytes(offset: 0, length: limit + 1))
        guard bytes.count <= limit else {
            throw FormatError(key.path, "it is larger than such an object may be")
        }
        return bytes
    }

    /// Whether a little space is kept aside for the day on which there is none left.
    public var keepsReserve: Bool { false }
}

/// There is no object of that name.
public struct ObjectMissing: Error, Sendable, Hashable {
    public var key: ObjectKey
    public init(_ key: ObjectKey) { self.key = key }
}
