import FoundationEssentials
import Model
import Repository
import TestSupport

/// `docs/format-vectors.json`: what a program written from FORMAT.md alone computed.
struct FormatVectors: Decodable {
    struct Secrets: Decodable {
        var repository: RepositoryID
        var naming: Hex
        var chunker: Hex
        var records: Hex
        var dataKeys: [String: Hex]
        var encoded: Hex
    }
    struct Slot: Decodable {
        var password: String?
        var key: Hex?
        var slot: KeySlot

        var credential: Credential { password.map { .password($0) } ?? .key(key?.bytes ?? []) }
    }
    struct Gear: Decodable {
        var firstWords: [String]
        var sha256: Hex
    }
    struct Cuts: Decodable {
        var content: String
        var seed: UInt64
        var length: Int
        var chunks: [Int]
    }
    struct ChunkName: Decodable {
        var role: UInt8
        var plaintext: Hex
        var name: ChunkID
    }
    struct Number: Decodable {
        var value: String
        var bytes: Hex
    }
    struct Node: Decodable {
        var depth: UInt8
        var references: [ChunkReference]
        var bytes: Hex
    }
    struct ReferenceTree: Decodable {
        var count: Int
        var zerosEvery: Int
        var length: UInt64
        var depth: UInt8
        var references: [ChunkReference]
        var nodes: Int
        var sha256OfNodes: Hex
    }
    struct Record: Decodable {
        var name: String
        var salt: Hex
        var plaintext: String
        var compressed: Hex
        var sealed: Hex
    }
    struct Pack: Decodable {
        struct Frame: Decodable {
            struct Chunk: Decodable {
                var name: ChunkID
                var length: UInt32
            }
            var encoding: UInt8
            var payload: Hex
            var chunks: [Chunk]
        }
        var name: PackID
        var epoch: UInt32
        var frames: [Frame]
        var bytes: Hex
    }
    struct Tree: Decodable {
        struct Entry: Decodable {
            var path: Hex
            var type: EntryType
            var mode: UInt32
            var user: UInt32
            var group: UInt32
            var modified: Int64
            var changed: Int64
            var inode: UInt64
            var device: UInt64
            var size: UInt64?
            var links: UInt32?
            var first: Hex?
            var depth: UInt8?
            var references: [ChunkReference]?
            var target: Hex?
            var major: UInt32?
            var minor: UInt32?
            var torn: Bool?
            var attributes: [[Hex]]?
        }
        var entries: [Entry]
        var bytes: Hex
    }

    var format: Int
    var secrets: Secrets
    var slots: [Slot]
    var gear: Gear
    var cuts: [Cuts]
    var chunkNames: [ChunkName]
    var numbers: [Number]
    var nodes: [Node]
    var referenceTrees: [ReferenceTree]
    var padded: [[UInt64]]
    var record: Record
    var pack: Pack
    var tree: Tree

    static let file = "docs/format-vectors.json"

    static func load() throws -> FormatVectors {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let path = Checkout.path(file)
        return try decoder.decode(
            FormatVectors.self, from: try Data(contentsOf: URL(filePath: path)))
    }
}

/// Bytes in hexadecimal.
struct Hex: Decodable, Equatable {
    var bytes: [UInt8]

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let bytes = Hexadecimal.decode(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "no hexadecimal")
        }
        self.bytes = bytes
    }
}

extension FormatVectors.Tree.Entry {
    /// The same as dr has it.
    var entry: TreeEntry {
        var entry = TreeEntry(path: path.bytes, type: type)
        entry.mode = mode
        entry.userID = user
        entry.groupID = group
        entry.modified = Timestamp(nanoseconds: modified)
        entry.changed = Timestamp(nanoseconds: changed)
        entry.inode = inode
        entry.device = device
        entry.size = size ?? 0
        entry.linkCount = links ?? 1
        entry.hardLink = first?.bytes
        entry.linkTarget = target?.bytes ?? []
        entry.deviceNumber = (major ?? 0, minor ?? 0)
        entry.isTorn = torn ?? false
        entry.attributes = (attributes ?? []).map {
            ExtendedAttribute(name: $0[0].bytes, value: $0[1].bytes)
        }
        if type == .file {
            entry.content = ContentReference(
                length: entry.size, depth: depth ?? 0, references: references ?? [])
        }
        return entry
    }
}
