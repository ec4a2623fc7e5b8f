import Model

/// A request of version 3 of the SSH file transfer protocol, as it is put together.
///
/// - SeeAlso: draft-ietf-secsh-filexfer-02; OpenSSH, PROTOCOL.
struct SFTPRequest {
    enum Kind: UInt8 {
        case initialise = 1
        case open = 3
        case close, read, write, lstat, fstat, setstat
        case openDirectory = 11
        case readDirectory, remove, makeDirectory
        case realPath = 16
        case stat, rename
        case extended = 200
    }

    var kind: Kind
    private(set) var bytes: [UInt8] = []

    init(_ kind: Kind) { self.kind = kind }

    func number(_ value: UInt32) -> Self {
        var copy = self
        copy.bytes += withUnsafeBytes(of: value.bigEndian, Array.init)
        return copy
    }

    func long(_ value: UInt64) -> Self {
        var copy = self
        copy.bytes += withUnsafeBytes(of: value.bigEndian, Array.init)
        return copy
    }

    func text(_ value: some Collection<UInt8>) -> Self {
        var copy = number(UInt32(value.count))
        copy.bytes += value
        return copy
    }

    func text(_ value: String) -> Self { text(Array(value.utf8)) }
}

/// An answer, read from its start; what is not there is an error.
struct SFTPReply {
    enum Kind: UInt8 {
        case version = 2
        case status = 101
        case handle, data, name, attributes
        case extended = 201
    }

    /// What a server says of a request that brings nothing back.
    enum Status: UInt32 {
        case ok, endOfFile, noSuchFile, permissionDenied, failure, badMessage, noConnection
        case connectionLost, unsupported
    }

    let kind: Kind
    private var rest: ArraySlice<UInt8>

    init(kind: Kind, _ bytes: ArraySlice<UInt8>) {
        self.kind = kind
        rest = bytes
    }

    static let broken = Failure(
        .failed, "the SFTP server's answer makes no sense", side: .repository, isTransient: true)

    var isAtEnd: Bool { rest.isEmpty }

    mutating func number() throws -> UInt32 { UInt32(try integer(4)) }
    mutating func long() throws -> UInt64 { try integer(8) }

    private mutating func integer(_ count: Int) throws -> UInt64 {
        guard rest.count >= count else { throw Self.broken }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count).reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func bytes() throws -> ArraySlice<UInt8> {
        let count = Int(try number())
        guard rest.count >= count else { throw Self.broken }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    mutating func text() throws -> String { String(decoding: try bytes(), as: UTF8.self) }

    mutating func attributes() throws -> SFTPAttributes {
        var attributes = SFTPAttributes()
        let flags = try number()
        if flags & 1 != 0 { attributes.size = try long() }
        if flags & 2 != 0 { _ = (try number(), try number()) }
        if flags & 4 != 0 { attributes.mode = try number() }
        if flags & 8 != 0 {
            _ = try number()
            attributes.modified = try number()
        }
        if flags & 0x8000_0000 != 0 {
            for _ in 0..<(try number()) { _ = (try bytes(), try bytes()) }
        }
        return attributes
    }
}

/// What a server says of a file.
struct SFTPAttributes {
    var size: UInt64?
    /// As `stat` has it, kind included.
    var mode: UInt32?
    /// Seconds since 1970.
    var modified: UInt32?

    /// Servers that do not tell kinds apart have files only.
    var isFile: Bool { mode.map { $0 & 0o170000 == 0o100000 || $0 & 0o170000 == 0 } ?? true }
    var isDirectory: Bool { mode.map { $0 & 0o170000 == 0o040000 } ?? false }
    var stored: Timestamp { Timestamp(seconds: Int(modified ?? 0), nanoseconds: 0) }
}

/// A request that the server did not carry out.
struct SFTPRefusal: Error {
    var status: SFTPReply.Status
    var message: String
}
