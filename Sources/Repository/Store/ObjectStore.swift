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

    /// The key with this path; nil when it is absolute, has an empty component, one that begins with
    /// a dot or ends in `.tmp`, or other characters than lower-case letters, digits, `-`, `_` and `.`.
    public init?(validating path: String) {
        guard Self.isValid(path) else { return nil }
        self.path = path
    }

    private static func isValid(_ path: String) -> Bool {
        !path.isEmpty
            && path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
                !$0.isEmpty && $0.first != "." && !$0.hasSuffix(".tmp")
                    && $0.utf8.allSatisfy(isAllowed)
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

/// Where bytes may come from.
public enum Nearness: Sendable, Hashable {
    /// The store itself.
    case store
    /// A copy on this machine, where there is one; else the store, and a copy may be kept. For what
    /// never changes and opens only when it is what was written.
    case kept
    /// The store itself; an earlier copy is dropped, because it did not open.
    case renewed
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

    /// The bytes of an object, from where `nearness` says.
    func get(_ key: ObjectKey, _ range: ObjectRange, _ nearness: Nearness) async throws -> Data

    /// Size in bytes; nil when there is no such object.
    func size(_ key: ObjectKey) async throws -> UInt64?

    /// All objects whose name begins with `prefix`, a whole number of components, in no order.
    func list(_ prefix: String) async throws -> [StoredObject]

    /// Removes an object; one that is already gone is no error.
    func delete(_ key: ObjectKey) async throws

    /// Whether a little space is kept aside for the day on which there is none left.
    var keepsReserve: Bool { get }

    /// Whether every call is a journey: then more of them are made at once.
    var isRemote: Bool { get }

    /// For how long the store locks what it is given, so that nobody can delete it; nil for no lock.
    var lockSpan: TimeSpan? { get }

    /// Until when nobody can delete an object; nil when it may go at any time.
    ///
    /// - Throws: ``ObjectMissing``; `Failure` where these credentials may not ask.
    func lockedUntil(_ key: ObjectKey) async throws -> Timestamp?

    /// Locks an object that is there for longer.
    func lock(_ key: ObjectKey, until moment: Timestamp) async throws

    /// Makes the place itself, where that takes more than the first `put`.
    func prepare() async throws

    /// The store's own clock, for leases; differs from this machine's by any amount.
    func now() async throws -> Timestamp

    /// Gives an object another name; `stored` becomes now. Of the two names one has it all the time.
    func move(_ key: ObjectKey, to other: ObjectKey) async throws

    /// Removes what writers that are gone left half written.
    ///
    /// - Parameter age: Only what was last written longer ago than this.
    /// - Returns: How many objects.
    func sweep(olderThan age: TimeSpan) async throws -> Int

    /// Names of things at the place that are not objects of a repository; at most a few.
    func foreignNames() async throws -> [String]
}

extension ObjectStore {
    /// A whole object that has at most `limit` bytes: memory is not the store's to spend.
    ///
    /// - Throws: ``FormatError`` when there are more.
    func get(
        _ key: ObjectKey, atMost limit: Int, _ nearness: Nearness = .store
    ) async throws -> Data {
        let bytes = try await get(key, .bytes(offset: 0, length: limit + 1), nearness)
        guard bytes.count <= limit else {
            throw FormatError(key.path, "it is larger than such an object may be")
        }
        return bytes
    }

    /// Nothing is nearer than the store.
    public func get(
        _ key: ObjectKey, _ range: ObjectRange, _ nearness: Nearness
    ) async throws -> Data {
        try await get(key, range)
    }

    /// Whether a little space is kept aside for the day on which there is none left.
    public var keepsReserve: Bool { false }

    /// Near.
    public var isRemote: Bool { false }

    /// How many small calls are worth making at once.
    var callsAtOnce: Int { isRemote ? 16 : 1 }

    /// It locks nothing.
    public var lockSpan: TimeSpan? { nil }

    /// It may go at any time.
    public func lockedUntil(_ key: ObjectKey) async throws -> Timestamp? { nil }

    /// There are no locks.
    public func lock(_ key: ObjectKey, until moment: Timestamp) async throws {}

    /// Nothing to do.
    public func prepare() async throws {}

    /// A copy, then the removal of the original.
    public func move(_ key: ObjectKey, to other: ObjectKey) async throws {
        try await put(other, [try await get(key, .whole)])
        try await delete(key)
    }

    /// Where `put` leaves nothing behind there is nothing to remove.
    public func sweep(olderThan age: TimeSpan) async throws -> Int { 0 }

    /// Nobody else keeps things there.
    public func foreignNames() async throws -> [String] { [] }
}

/// There is no object of that name.
public struct ObjectMissing: Error, Sendable, Hashable {
    public var key: ObjectKey
    public init(_ key: ObjectKey) { self.key = key }
}
