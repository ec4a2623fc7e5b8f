/// Sizes of content-defined chunks, in bytes of plaintext; part of the repository's format.
public struct CutParameters: Hashable, Sendable {
    public var minimum: Int
    public var average: Int
    public var maximum: Int

    /// Files and streams.
    public static let standard = CutParameters(minimum: 16384, average: 65536, maximum: 262_144)
    /// Dumps of databases: a changed row costs a chunk.
    public static let fine = CutParameters(minimum: 4096, average: 16384, maximum: 65536)
}

/// How a content is cut into chunks.
public enum ContentCut: Sendable {
    /// By content, 64 KiB in the mean.
    case standard
    /// By content, 16 KiB in the mean.
    case fine
    /// Into aligned blocks of 64 KiB, zero blocks left out, as disks are.
    case blocks
}

/// Finds where a chunk ends, by a keyed gear hash with normalized chunking.
///
/// The hash of a position depends on the 64 bytes before it and on the secret table. A chunk ends
/// after the first position, `minimum` or more bytes in, where the hash has two given bits more
/// zero than `average` asks for (before it) or two fewer (from there on), or at `maximum`.
///
/// - SeeAlso: Xia et al., "FastCDC", USENIX ATC 2016; FORMAT.md, section 3.
public struct ContentCutter: Sendable {
    public let parameters: CutParameters
    private let table: GearTable
    private let strict: UInt64
    private let loose: UInt64

    public init(table: GearTable, parameters: CutParameters = .standard) {
        self.table = table
        self.parameters = parameters
        let bits = parameters.average.trailingZeroBitCount
        strict = ~0 << UInt64(64 - bits - 2)
        loose = ~0 << UInt64(64 - bits + 2)
    }

    /// Length of the chunk that begins at the start of `bytes`.
    ///
    /// - Parameter bytes: At least `maximum` bytes, or all that is left of the content; not empty.
    /// - Complexity: O(length of the chunk - `minimum`); 8 bytes a step.
    public func cut(_ bytes: UnsafeRawBufferPointer) -> Int {
        let count = min(bytes.count, parameters.maximum)
        guard count > parameters.minimum, let base = bytes.baseAddress else { return count }
        let start = base.assumingMemoryBound(to: UInt8.self)
        let gear = UnsafePointer(table.words)
        // The hash needs 64 bytes to forget what stood before; they are taken from the part of the
        // chunk in which no cut may be.
        var hash: UInt64 = 0
        var index = parameters.minimum - 64
        while index < parameters.minimum {
            hash = (hash << 1) &+ gear[Int(start[index])]
            index += 1
        }
        let normal = min(count, parameters.average)
        let found = Self.scan(start, &index, normal, gear, strict, &hash)
        if found { return index }
        return Self.scan(start, &index, count, gear, loose, &hash) ? index : count
    }

    /// Moves `index` on to just behind the first position before `end` where the hash fits `mask`.
    ///
    /// Eight bytes a step: each of the hashes follows from the one before its four bytes alone, so
    /// that the processor need not finish one to begin the next.
    @inline(__always)
    private static func scan(
        _ start: UnsafePointer<UInt8>, _ index: inout Int, _ end: Int,
        _ gear: UnsafePointer<UInt64>, _ mask: UInt64, _ state: inout UInt64
    ) -> Bool {
        var hash = state
        var position = index
        defer {
            state = hash
            index = position
        }
        // The mask is the highest bits: they are zero when the hash is not above the others.
        let limit = ~mask
        let raw = UnsafeRawPointer(start)
        while position &+ 8 <= end {
            let word = raw.loadUnaligned(fromByteOffset: position, as: UInt64.self)
            guard
                let middle = Self.four(word, hash, gear, limit),
                let last = Self.four(word &>> 32, middle, gear, limit)
            else { break }
            hash = last
            position &+= 8
        }
        while position < end {
            hash = (hash &<< 1) &+ gear[Int(start[position])]
            position &+= 1
            if hash <= limit { return true }
        }
        return false
    }

    /// The hash behind the four low bytes of `word`; nil when one of the four is at most `limit`.
    @inline(__always)
    private static func four(
        _ word: UInt64, _ hash: UInt64, _ gear: UnsafePointer<UInt64>, _ limit: UInt64
    ) -> UInt64? {
        let first = gear[Int(truncatingIfNeeded: word & 255)]
        let second = (first &<< 1) &+ gear[Int(truncatingIfNeeded: word &>> 8 & 255)]
        let third = (second &<< 1) &+ gear[Int(truncatingIfNeeded: word &>> 16 & 255)]
        let fourth = (third &<< 1) &+ gear[Int(truncatingIfNeeded: word &>> 24 & 255)]
        let last = (hash &<< 4) &+ fourth
        // A branch each: never taken but at a cut, they cost less than three minima.
        if (hash &<< 1) &+ first <= limit || (hash &<< 2) &+ second <= limit
            || (hash &<< 3) &+ third <= limit || last <= limit
        {
            return nil
        }
        return last
    }
}
