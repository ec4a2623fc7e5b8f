import Model
import Synchronization

/// Reads a dump as it passes: counts the rows of every table, and knows whether the dump is whole.
final class MariaDBDumpInspector: StreamObserver {
    private let state: Mutex<MariaDBDumpParser>

    /// - Parameter hasEscapes: Whether a backslash in a text escapes what follows it.
    init(hasEscapes: Bool) { state = Mutex(MariaDBDumpParser(hasEscapes: hasEscapes)) }

    func observe(_ bytes: UnsafeRawBufferPointer) throws { state.withLock { $0.feed(bytes) } }

    /// Rows by table, of the tables that have any.
    var rows: [String: UInt64] { state.withLock { $0.rows } }
    /// Its last line says that it is complete.
    var isComplete: Bool { state.withLock { $0.isComplete } }
}

/// The state of reading one dump.
///
/// What counts are the tuples of `INSERT` statements. Texts may hold anything, so quotes are followed
/// through the whole of a statement; everything else is looked at line by line.
struct MariaDBDumpParser {
    private enum Stage {
        /// Collects the beginning of a line.
        case line
        /// Between `VALUES` and the semicolon.
        case values(depth: Int)
        /// Within a text of a tuple, which ends with this byte.
        case text(UInt8, depth: Int)
        case escaped(UInt8, depth: Int)
        /// The rest of a line that says nothing.
        case rest
    }

    /// Within the bodies of triggers, routines and events, which may hold statements of any kind.
    private var isInBody = false

    private let hasEscapes: Bool
    private var stage = Stage.line
    private var line: [UInt8] = []
    private var table = ""
    private(set) var rows: [String: UInt64] = [:]
    private(set) var isComplete = false

    private static let insert = Array("INSERT INTO `".utf8)
    private static let values = Array("VALUES".utf8)
    private static let complete = Array("-- Dump completed".utf8)
    private static let delimiter = Array("DELIMITER ".utf8)

    init(hasEscapes: Bool) { self.hasEscapes = hasEscapes }

    mutating func feed(_ bytes: UnsafeRawBufferPointer) {
        for byte in bytes { step(byte) }
    }

    private mutating func step(_ byte: UInt8) {
        switch stage {
        case .line:
            if byte == 10 {
                endLine()
                return
            }
            line.append(byte)
            guard isOfInterest else {
                line = []
                stage = .rest
                return
            }
            if isInBody || line.count <= Self.insert.count || !line.starts(with: Self.insert) {
                return
            }
            // `INSERT INTO `name` VALUES`, with the names of columns before it or not.
            if byte == UInt8(ascii: "S"), line.suffix(Self.values.count) == Self.values[...],
                let name = tableName(), nameHasEnded()
            {
                table = name
                line = []
                stage = .values(depth: 0)
            }
        case .rest:
            if byte == 10 { stage = .line }
        case .values(let depth):
            switch byte {
            case UInt8(ascii: "("):
                if depth == 0 { rows[table, default: 0] += 1 }
                stage = .values(depth: depth + 1)
            case UInt8(ascii: ")"): stage = .values(depth: max(0, depth - 1))
            case UInt8(ascii: "'"), UInt8(ascii: "\""): stage = .text(byte, depth: depth)
            case UInt8(ascii: ";") where depth == 0: stage = .rest
            default: break
            }
        case .text(let quote, let depth):
            if byte == UInt8(ascii: "\\"), hasEscapes {
                stage = .escaped(quote, depth: depth)
            } else if byte == quote {
                // A doubled quote closes and opens again.
                stage = .values(depth: depth)
            }
        case .escaped(let quote, let depth): stage = .text(quote, depth: depth)
        }
    }

    /// Whether the line may still become one that says something.
    private var isOfInterest: Bool {
        let openings =
            isInBody ? [Self.delimiter] : [Self.insert, Self.complete, Self.delimiter]
        return openings.contains { opening in
            zip(opening, line).allSatisfy { $0 == $1 }
        }
    }

    private mutating func endLine() {
        if line.starts(with: Self.delimiter) {
            isInBody = line.dropFirst(Self.delimiter.count) != [UInt8(ascii: ";")][...]
        }
        isComplete = line.starts(with: Self.complete) || isComplete && line.isEmpty
        line = []
    }

    /// The name after `INSERT INTO`, its backticks undone.
    private func tableName() -> String? {
        var name: [UInt8] = []
        var bytes = line.dropFirst(Self.insert.count)
        while let byte = bytes.popFirst() {
            if byte == UInt8(ascii: "`") {
                guard bytes.first == byte else {
                    return String(decoding: name, as: UTF8.self)
                }
                bytes = bytes.dropFirst()
            }
            name.append(byte)
        }
        return nil
    }

    /// Whether the word `VALUES` stands outside of quoted names.
    private func nameHasEnded() -> Bool {
        line.count { $0 == UInt8(ascii: "`") }.isMultiple(of: 2)
    }
}
