/// What hashes of chain records name.
public enum ChainRecordKind {}
/// SHA-256 of a chain record's object.
public typealias ChainHash = Identifier<ChainRecordKind>

/// The newest record of one writer, as somebody saw it.
public struct ChainHead: Codable, Sendable, Hashable {
    public var writer: WriterID
    public var sequence: UInt64
    public var hash: ChainHash

    public init(writer: WriterID, sequence: UInt64, hash: ChainHash) {
        self.writer = writer
        self.sequence = sequence
        self.hash = hash
    }
}
