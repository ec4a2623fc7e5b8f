/// What a directory entry is.
public enum EntryType: UInt8, Sendable, Codable, CaseIterable {
    case file = 1
    case directory = 2
    case symlink = 3
    case fifo = 4
    case characterDevice = 5
    case blockDevice = 6

    /// The letter that `ls -l` shows.
    public var letter: String {
        switch self {
        case .file: "-"
        case .directory: "d"
        case .symlink: "l"
        case .fifo: "p"
        case .characterDevice: "c"
        case .blockDevice: "b"
        }
    }
}

/// One extended attribute; POSIX ACLs and capabilities are attributes too, as Linux stores them.
public struct ExtendedAttribute: Hashable, Sendable {
    public var name: [UInt8]
    public var value: [UInt8]

    public init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }
}

/// One entry of a captured tree, with all its metadata. Names are bytes, not Unicode.
public struct TreeEntry: Hashable, Sendable {
    /// Path from the tree's root, components joined by `/`; empty for the root itself.
    public var path: [UInt8]
    public var type: EntryType
    /// The twelve permission bits.
    public var mode: UInt32
    public var userID: UInt32
    public var groupID: UInt32
    /// Time of last modification.
    public var modified: Timestamp
    /// Time of last status change at capture; recognises an unchanged file, never restored.
    public var changed: Timestamp
    /// Inode at capture; recognises an unchanged file, never restored.
    public var inode: UInt64
    /// Device number of the file system at capture; tells hard links apart, never restored.
    public var device: UInt64
    /// Bytes of content of a file, holes counted; 0 for other types.
    public var size: UInt64
    /// Number of names at capture; above 1 the entry may be one of several hard links.
    public var linkCount: UInt32
    /// The path of an earlier entry of this tree that is the same file; nil for most.
    public var hardLink: [UInt8]?
    public var linkTarget: [UInt8]
    /// Major and minor number of a device.
    public var deviceNumber: (major: UInt32, minor: UInt32)
    public var attributes: [ExtendedAttribute]
    /// A file's content; hard links carry theirs each.
    public var content: ContentReference
    /// The file changed while it was read, several times over: its bytes are not of one moment.
    public var isTorn: Bool

    public init(path: [UInt8], type: EntryType) {
        self.path = path
        self.type = type
        mode = 0
        userID = 0
        groupID = 0
        modified = Timestamp(nanoseconds: 0)
        changed = Timestamp(nanoseconds: 0)
        inode = 0
        device = 0
        size = 0
        linkCount = 1
        linkTarget = []
        deviceNumber = (0, 0)
        attributes = []
        content = .empty
        isTorn = false
    }

    /// The last component of the path.
    public var name: ArraySlice<UInt8> {
        guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return path[...] }
        return path[(slash + 1)...]
    }

    public static func == (left: Self, right: Self) -> Bool {
        left.path == right.path && left.type == right.type && left.mode == right.mode
            && left.userID == right.userID && left.groupID == right.groupID
            && left.modified == right.modified && left.changed == right.changed
            && left.inode == right.inode && left.device == right.device && left.size == right.size
            && left.linkCount == right.linkCount && left.hardLink == right.hardLink
            && left.linkTarget == right.linkTarget && left.deviceNumber == right.deviceNumber
            && left.attributes == right.attributes && left.content == right.content
            && left.isTorn == right.isTorn
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(path) }
}

/// Orders paths as trees are stored: depth first, names of one directory by their bytes.
///
/// This is byte order with `/` before every other byte, so that a directory's content follows it
/// directly.
public enum TreeOrder {
    /// Whether `left` stands before `right`.
    public static func precedes(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        let count = min(left.count, right.count)
        for index in 0..<count where left[index] != right[index] {
            if left[index] == UInt8(ascii: "/") { return true }
            if right[index] == UInt8(ascii: "/") { return false }
            return left[index] < right[index]
        }
        return left.count < right.count
    }
}

/// Bytes from outside made safe to show: control characters, quotes of a terminal's language and
/// invalid UTF-8 become `\xNN`.
public func printable(_ bytes: some Collection<UInt8>) -> String {
    func escaped(_ byte: UInt8) -> String { "\\x" + Hexadecimal.encode([byte]) }
    func shown(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator,
            .paragraphSeparator:
            false
        default: true
        }
    }
    var text = ""
    var rest = Array(bytes)[...]
    while let first = rest.first {
        let length: Int
        switch first {
        case ..<0x80: length = 1
        case 0xC2...0xDF: length = 2
        case 0xE0...0xEF: length = 3
        case 0xF0...0xF4: length = 4
        default: length = 0
        }
        if length > 0, rest.count >= length,
            let decoded = String(validating: rest.prefix(length), as: UTF8.self),
            let scalar = decoded.unicodeScalars.first, decoded.unicodeScalars.count == 1,
            shown(scalar)
        {
            text += decoded
            rest = rest.dropFirst(length)
        } else {
            text += escaped(first)
            rest = rest.dropFirst()
        }
    }
    return text
}
