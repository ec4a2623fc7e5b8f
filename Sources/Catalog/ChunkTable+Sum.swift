import Engine
import Model
import Synchronization

/// Adds up rows, in any order: every row of the chunk table mixed into 64 bits.
struct RowSum {
    private(set) var value: Int64 = 0

    mutating func add(chunk key: ChunkTable.RowKey, _ place: Int64) {
        add(key.high, key.low, UInt64(bitPattern: place), 1)
    }

    mutating func add(frame: FrameLocation, of pack: Int64) {
        add(
            UInt64(bitPattern: pack) << 16 | UInt64(frame.number), frame.offset,
            UInt64(frame.storedLength) << 32 | UInt64(frame.plainLength), UInt64(frame.encoding) + 2
        )
    }

    mutating func add(pack number: Int64, _ id: PackID, size: UInt64) {
        add(UInt64(bitPattern: number), id.words.0 ^ id.words.2, id.words.1 ^ id.words.3, size ^ 5)
    }

    private mutating func add(_ first: UInt64, _ second: UInt64, _ third: UInt64, _ last: UInt64) {
        // Each word is mixed before the next one is added, so that no two rows that differ cancel
        // out; the constants are those of SplitMix64.
        var mixed = Self.mix(first &+ 0x9e37_79b9_7f4a_7c15)
        mixed = Self.mix(mixed ^ second)
        mixed = Self.mix(mixed &+ third)
        mixed = Self.mix(mixed ^ last)
        value &+= Int64(bitPattern: mixed)
    }

    private static func mix(_ word: UInt64) -> UInt64 {
        var mixed = word
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

extension ChunkTable {
    /// A number that changes whenever packs are forgotten, and when the table is made anew.
    public func generation() throws -> UInt64 {
        try state.withLock { UInt64(bitPattern: try Self.fact("generation", $0.database)) }
    }

    /// Reads the whole table and compares it with its sum.
    ///
    /// - Returns: False when it has changed by itself: open it again to get an empty one.
    public func verify() throws -> Bool {
        do {
            try state.withLock { try Self.verify($0.database) }
            return true
        } catch is DamagedDatabase {
            return false
        }
    }

    static func fact(_ name: String, _ database: Database) throws -> Int64 {
        let statement = try database.statement("SELECT value FROM facts WHERE name = ?")
        defer { statement.reset() }
        statement.bind(name, at: 1)
        guard try statement.step() else {
            throw DamagedDatabase(path: database.path, detail: "it holds no \(name)")
        }
        return statement.int64(0)
    }

    static func setFact(_ name: String, _ value: Int64, _ database: Database) throws {
        let statement = try database.statement("INSERT OR REPLACE INTO facts VALUES (?, ?)")
        statement.bind(name, at: 1)
        statement.bind(value, at: 2)
        try statement.run()
        statement.reset()
    }

    /// Throws ``DamagedDatabase`` unless the file is well-formed and its rows give its sum.
    static func verify(_ database: Database) throws {
        try database.verifying { database in
            try sum(database, chunks: "", frames: "", packs: "") == fact("sum", database)
        }
    }

    /// The sum of all rows of the packs that the temporary table `gone` lists.
    static func sum(ofGonePacks database: Database) throws -> Int64 {
        let shift = frameBits + offsetBits
        let gone = "IN (SELECT number FROM gone)"
        return try sum(
            database, chunks: "WHERE place >> \(shift) \(gone)", frames: "WHERE pack \(gone)",
            packs: "WHERE number \(gone)")
    }

    private static func sum(_ database: Database, chunks: String, frames: String, packs: String)
        throws -> Int64
    {
        var sum = RowSum()
        let rows = try database.prepare("SELECT id, place FROM chunks \(chunks)")
        while try rows.step() {
            try requireBlob(rows, 0, database)
            sum.add(chunk: RowKey(rows.bytes(0)), rows.int64(1))
        }
        let places = try database.prepare(
            "SELECT pack, number, offset, stored, plain, encoding FROM frames \(frames)")
        while try places.step() {
            let location = FrameLocation(
                number: UInt32(truncatingIfNeeded: places.int64(1)),
                offset: UInt64(bitPattern: places.int64(2)),
                storedLength: UInt32(truncatingIfNeeded: places.int64(3)),
                plainLength: UInt32(truncatingIfNeeded: places.int64(4)),
                encoding: UInt8(truncatingIfNeeded: places.int64(5)))
            sum.add(frame: location, of: places.int64(0))
        }
        let all = try database.prepare("SELECT number, id, size FROM packs \(packs)")
        while try all.step() {
            try requireBlob(all, 1, database)
            sum.add(
                pack: all.int64(0), PackID(bytes: all.blob(1)) ?? .zero,
                size: UInt64(bitPattern: all.int64(2)))
        }
        return sum.value
    }

    /// One flipped bit makes text of an id: its bytes are the same, and no search finds it any more.
    private static func requireBlob(
        _ row: Statement, _ column: Int32, _ database: Database
    ) throws(DamagedDatabase) {
        guard row.isBlob(column) else {
            throw DamagedDatabase(path: database.path, detail: "an id is not of its type")
        }
    }
}
