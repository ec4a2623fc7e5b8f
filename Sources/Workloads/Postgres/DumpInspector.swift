import CLinux
import Glibc
import Model
import Synchronization

/// Reads a custom-format dump as it passes: counts the rows of every table, takes the sequences'
/// values, and knows whether the dump is whole.
///
/// pg_dump writes the table of contents first and then one block of data for each entry that has
/// any. A dump that was cut has an entry without a whole block. What this does not understand it
/// says, and then it proves nothing.
final class DumpInspector: StreamObserver {
    /// What a whole dump holds.
    struct Content: Sendable {
        var rows: [ProofKey: UInt64] = [:]
        /// nil for a sequence that was never called.
        var sequences: [ProofKey: Int64?] = [:]
        var largeObjects: UInt64 = 0
        /// Tables and sequences whose names are not UTF-8, and which are not in the above.
        var unnamed = 0
    }

    enum Verdict: Sendable {
        /// Every entry's data was seen to its end.
        case whole(Content)
        case truncated(String)
        /// Not understood; says nothing about the dump.
        case unreadable(String)
    }

    private let state: Mutex<ArchiveParser>

    init(database: String) { state = Mutex(ArchiveParser(database: database)) }

    func observe(_ bytes: UnsafeRawBufferPointer) throws { state.withLock { $0.feed(bytes) } }

    /// What all that passed amounts to; called after the end.
    var verdict: Verdict { state.withLock { $0.verdict } }
}

/// The state of reading one archive.
struct ArchiveParser {
    private enum Stage {
        case header
        case count(ArchiveHeader)
        case entries(ArchiveHeader, left: Int)
        case data
        case unreadable(String)
    }

    /// Where within the blocks of data.
    private enum Place {
        case kind
        case id(isBlobs: Bool)
        /// Object id of the next large object; 0 ends them.
        case object
        case length
        case payload
    }

    private struct Expected {
        /// nil where the rows are not counted.
        var key: ProofKey?
        var isTable: Bool
        var isSeen = false
    }

    private let database: String
    private var stage = Stage.header
    private var content = DumpInspector.Content()
    private var expected: [Int: Expected] = [:]
    private var missing = 0
    /// Bytes of an item that has not come whole yet.
    private var pending: [UInt8] = []
    /// Bytes before those.
    private var passed = 0
    /// Bytes up to the end of the table of contents; nil until it has come.
    private(set) var contentsLength: Int?

    private var intSize = 4
    private var place = Place.kind
    private var number: UInt64 = 0
    private var numberBytes = 0
    private var isNegative = false
    private var current: Expected?
    private var currentID = 0
    private var isBlobs = false
    private var left = 0
    private var newlines: UInt64 = 0
    private var tail = BlockTail()

    init(database: String) { self.database = database }

    /// Whether the archive is none that this understands.
    var isUnreadable: Bool {
        if case .unreadable = stage { true } else { false }
    }

    mutating func feed(_ bytes: UnsafeRawBufferPointer) {
        switch stage {
        case .unreadable: return
        case .data: readData(bytes)
        case .header, .count, .entries:
            pending.append(contentsOf: bytes)
            readContents()
        }
    }

    var verdict: DumpInspector.Verdict {
        switch stage {
        case .unreadable(let reason): return .unreadable(reason)
        case .header, .count, .entries: return .truncated("it ends within its table of contents")
        case .data:
            guard case .kind = place else { return .truncated("it ends within a table's data") }
            guard missing == 0 else {
                return .truncated("the data of \(missing) of its entries is missing")
            }
            return .whole(content)
        }
    }

    // MARK: Table of contents

    private mutating func readContents() {
        var position = 0
        do throws(ArchiveCursor.Stop) {
            while true {
                let rest = pending[position...]
                switch stage {
                case .header:
                    let (header, count) = try ArchiveHeader.read(rest)
                    guard !header.isCompressed else { throw .malformed("it is compressed") }
                    intSize = header.intSize
                    position += count
                    stage = .count(header)
                case .count(let header):
                    var cursor = ArchiveCursor(rest, intSize: intSize)
                    let count = try cursor.int()
                    guard count >= 0 else { throw .malformed("the number of its entries") }
                    position = cursor.position
                    stage = .entries(header, left: count)
                case .entries(let header, let left):
                    if left == 0 {
                        stage = .data
                        contentsLength = passed + position
                        pending.removeFirst(position)
                        let data = pending
                        pending = []
                        data.withUnsafeBytes { readData($0) }
                        return
                    }
                    var cursor = ArchiveCursor(rest, intSize: intSize)
                    let entry = try ArchiveEntry(&cursor, header)
                    position = cursor.position
                    take(entry)
                    stage = .entries(header, left: left - 1)
                case .data, .unreadable: return
                }
            }
        } catch {
            switch error {
            case .needsMore:
                passed += position
                pending.removeFirst(position)
            case .malformed(let reason): giveUp(reason)
            }
        }
    }

    private mutating func take(_ entry: ArchiveEntry) {
        let key = key(entry)
        if entry.hasData {
            let isTable = entry.kind == "TABLE DATA"
            if isTable && key == nil { content.unnamed += 1 }
            if expected.updateValue(
                Expected(key: entry.hasCopy ? key : nil, isTable: isTable && entry.hasCopy),
                forKey: entry.id) != nil
            {
                giveUp("two entries have the same id")
            }
            missing += 1
        } else if entry.kind == "SEQUENCE SET" {
            guard let key, let value = SequenceValue(entry.definition) else {
                content.unnamed += 1
                return
            }
            content.sequences[key] = .some(value.isCalled ? value.last : nil)
        }
    }

    private func key(_ entry: ArchiveEntry) -> ProofKey? {
        guard let schema = String(validating: entry.schema, as: UTF8.self),
            let name = String(validating: entry.tag, as: UTF8.self)
        else { return nil }
        return ProofKey(database: database, schema: schema, name: name)
    }

    // MARK: Data

    private mutating func readData(_ bytes: UnsafeRawBufferPointer) {
        var position = 0
        while position < bytes.count {
            switch place {
            case .payload:
                let count = min(left, bytes.count - position)
                let slice = UnsafeRawBufferPointer(
                    rebasing: bytes[position..<(position + count)])
                if current?.isTable == true {
                    newlines += Self.newlines(in: slice)
                    tail.append(slice)
                }
                position += count
                left -= count
                if left == 0 { place = .length }
            case .kind:
                let kind = bytes[position]
                guard kind == 1 || kind == 3 else { return giveUp("a block of kind \(kind)") }
                place = .id(isBlobs: kind == 3)
                position += 1
            case .id, .object, .length:
                guard let value = readNumber(bytes, &position) else { continue }
                guard value >= 0 else { return giveUp("a number below zero") }
                take(value)
                if case .unreadable = stage { return }
            }
        }
    }

    /// One byte more of a number.
    ///
    /// - Returns: The number when it is whole.
    private mutating func readNumber(_ bytes: UnsafeRawBufferPointer, _ position: inout Int)
        -> Int?
    {
        // Most often it is there as a whole.
        if numberBytes == 0, intSize == 4, bytes.count - position >= 5 {
            let value = bytes.loadUnaligned(fromByteOffset: position + 1, as: UInt32.self)
            let isNegative = bytes[position] != 0
            position += 5
            return isNegative ? -Int(UInt32(littleEndian: value)) : Int(UInt32(littleEndian: value))
        }
        let byte = bytes[position]
        position += 1
        if numberBytes == 0 {
            isNegative = byte != 0
            number = 0
        } else {
            number |= UInt64(byte) << (8 * UInt64(numberBytes - 1))
        }
        numberBytes += 1
        guard numberBytes == intSize + 1 else { return nil }
        numberBytes = 0
        let value = Int(truncatingIfNeeded: number & (.max >> 1))
        return isNegative ? -value : value
    }

    private mutating func take(_ value: Int) {
        switch place {
        case .id(let isBlobs):
            guard let entry = expected[value], !entry.isSeen else {
                return giveUp("a block that no entry has")
            }
            currentID = value
            current = entry
            self.isBlobs = isBlobs
            newlines = 0
            tail = BlockTail()
            place = isBlobs ? .object : .length
        case .object:
            if value == 0 { return endBlock() }
            content.largeObjects += 1
            place = .length
        case .length:
            if value > 0 {
                left = value
                place = .payload
            } else if isBlobs {
                place = .object
            } else {
                endBlock()
            }
        case .kind, .payload: break
        }
    }

    private mutating func endBlock() {
        if let current, current.isTable {
            guard let trailing = tail.newlinesAfterEnd else {
                return giveUp("a table's data without the mark of its end")
            }
            if let key = current.key { content.rows[key, default: 0] += newlines - trailing }
        }
        expected[currentID]?.isSeen = true
        missing -= 1
        current = nil
        place = .kind
    }

    private mutating func giveUp(_ reason: String) {
        stage = .unreadable(reason)
        pending = []
    }

    /// Every row of COPY's text format is one line: newlines within values are escaped.
    private static func newlines(in bytes: UnsafeRawBufferPointer) -> UInt64 {
        guard var base = bytes.baseAddress else { return 0 }
        var count: UInt64 = 0
        var rest = bytes.count
        while rest > 0, let found = memchr(base, 10, rest) {
            count += 1
            let next = UnsafeRawPointer(found) + 1
            rest -= next - base
            base = next
        }
        return count
    }
}

/// The last bytes of a block: `\.` on a line of its own and empty lines after it end COPY's data.
private struct BlockTail {
    private var bytes: [UInt8] = []

    mutating func append(_ slice: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: slice.suffix(16))
        if bytes.count > 16 { bytes.removeFirst(bytes.count - 16) }
    }

    /// How many newlines the mark and what follows it hold; nil without the mark.
    var newlinesAfterEnd: UInt64? {
        let lines = bytes.reversed().prefix { $0 == 10 }.count
        guard lines > 0 else { return nil }
        let mark = bytes.dropLast(lines)
        guard mark.suffix(2) == [92, 46] else { return nil }
        let before = mark.dropLast(2)
        guard before.isEmpty || before.last == 10 else { return nil }
        return UInt64(lines)
    }
}

/// What `SELECT pg_catalog.setval('name', 5, true);` sets.
struct SequenceValue {
    let last: Int64
    let isCalled: Bool

    init?(_ definition: [UInt8]) {
        let text = String(decoding: definition, as: UTF8.self)
        // The name may hold anything, so the values are looked for from the end.
        guard text.contains("setval("), let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[..<end].split(separator: ",").suffix(2)
            .map { $0.filter { $0 != " " } }
        guard fields.count == 2, let last = Int64(fields[0]),
            fields[1] == "true" || fields[1] == "false"
        else { return nil }
        self.last = last
        isCalled = fields[1] == "true"
    }
}
