/// A run of bytes of a file that a tar archive holds; between them are holes.
public struct TarSegment: Sendable, Hashable {
    public var offset: UInt64
    public var length: UInt64

    public init(offset: UInt64, length: UInt64) {
        self.offset = offset
        self.length = length
    }
}

/// Where the stored bytes of a sparse file belong.
struct TarSparseMap {
    /// Runs that one file may have; each costs 16 bytes of memory.
    static let largestCount = 4 << 20

    /// Bytes of the whole file.
    var size: UInt64
    var segments: [TarSegment]

    /// - Throws: ``TarProblem`` when the runs do not follow one another within the file, or do not
    ///   add up to what is stored.
    func check(stored: UInt64) throws(TarProblem) {
        var end: UInt64 = 0
        var sum: UInt64 = 0
        for segment in segments {
            let (next, overflow) = segment.offset.addingReportingOverflow(segment.length)
            guard !overflow, segment.offset >= end, next <= size else {
                throw TarProblem("a sparse file's map leads out of the file")
            }
            end = next
            sum += segment.length
        }
        guard sum == stored else {
            throw TarProblem("a sparse file's map does not fit the bytes that are stored")
        }
    }

    /// GNU formats 0.0 and 0.1, which keep the map in records; nil when there is none.
    init?(records: PaxRecords) throws(TarProblem) {
        guard let sizeText = records["GNU.sparse.size"] else { return nil }
        guard let size = TarNumber.decimal(sizeText) else {
            throw TarProblem("a sparse file's size is no number")
        }
        var numbers: [UInt64] = []
        func add(_ text: some Collection<UInt8>) throws(TarProblem) {
            guard let number = TarNumber.decimal(text), numbers.count < 2 * Self.largestCount else {
                throw TarProblem("a sparse file's map is no list of numbers")
            }
            numbers.append(number)
        }
        if let map = records["GNU.sparse.map"] {
            for text in map.split(separator: UInt8(ascii: ",")) { try add(text) }
        } else {
            let isEntry = { (key: [UInt8]) in
                key.elementsEqual("GNU.sparse.offset".utf8)
                    || key.elementsEqual("GNU.sparse.numbytes".utf8)
            }
            for (key, value) in records.values where isEntry(key) { try add(value) }
        }
        try self.init(size: size, numbers: numbers)
    }

    /// - Parameter numbers: Offset and length in turn.
    init(size: UInt64, numbers: [UInt64]) throws(TarProblem) {
        guard numbers.count % 2 == 0 else {
            throw TarProblem("a sparse file's map has half an entry")
        }
        self.size = size
        segments = stride(from: 0, to: numbers.count, by: 2).map {
            TarSegment(offset: numbers[$0], length: numbers[$0 + 1])
        }
    }

    /// The old GNU format: up to four runs in the header, then blocks of up to 21 more.
    ///
    /// - Parameter next: Gives the next block.
    init(
        header: UnsafeRawBufferPointer, next: () throws -> [UInt8]
    ) throws {
        guard let size = TarNumber.parse(header[483..<495]), size >= 0 else {
            throw TarProblem("a sparse file's size is no number")
        }
        var numbers: [UInt64] = []
        func add(_ block: some RandomAccessCollection<UInt8>, _ start: Int, _ count: Int) throws {
            for index in 0..<count {
                let first = block.index(block.startIndex, offsetBy: start + index * 24)
                let middle = block.index(first, offsetBy: 12)
                let end = block.index(middle, offsetBy: 12)
                // Entries that are not used are empty.
                if block[first] == 0 { return }
                guard let offset = TarNumber.parse(block[first..<middle]),
                    let length = TarNumber.parse(block[middle..<end]), offset >= 0, length >= 0,
                    numbers.count < 2 * Self.largestCount
                else { throw TarProblem("a sparse file's map is no list of numbers") }
                numbers += [UInt64(offset), UInt64(length)]
            }
        }
        try add(header, 386, 4)
        var isExtended = header[482] != 0
        while isExtended {
            let block = try next()
            try add(block, 0, 21)
            isExtended = block[504] != 0
        }
        try self.init(size: UInt64(size), numbers: numbers)
    }

    /// GNU format 1.0: the map is text before the data, in whole blocks.
    ///
    /// - Parameter next: Gives the next block of what is stored.
    static func leading(size: UInt64, next: () throws -> [UInt8]) throws -> Self {
        var numbers: [UInt64] = []
        var expected: UInt64?
        var digits: [UInt8] = []
        while expected != UInt64(numbers.count) {
            for byte in try next() {
                guard byte == UInt8(ascii: "\n") else {
                    digits.append(byte)
                    guard digits.count <= 20 else {
                        throw TarProblem("a sparse file's map is no list of numbers")
                    }
                    continue
                }
                guard let number = TarNumber.decimal(digits) else {
                    throw TarProblem("a sparse file's map is no list of numbers")
                }
                digits = []
                if expected == nil {
                    guard number <= UInt64(largestCount) else {
                        throw TarProblem("a sparse file's map has too many entries")
                    }
                    expected = 2 * number
                } else {
                    numbers.append(number)
                }
                if expected == UInt64(numbers.count) { break }
            }
        }
        return try Self(size: size, numbers: numbers)
    }

    /// The map as format 1.0 writes it, filled up to whole blocks.
    static func encoded(_ segments: [TarSegment]) -> [UInt8] {
        var text = Array("\(segments.count)\n".utf8)
        for segment in segments { text += "\(segment.offset)\n\(segment.length)\n".utf8 }
        let rest = text.count % TarHeader.length
        if rest > 0 { text += Array(repeating: 0, count: TarHeader.length - rest) }
        return text
    }
}
