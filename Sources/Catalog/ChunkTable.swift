import Engine
public import Model
import Synchronization

/// Where every chunk of a repository is: `chunks-<repository>.sqlite`, rebuilt from the packs when it
/// is lost and never saved.
///
/// Rows are narrow: the first 16 bytes of a chunk's name, and one number that holds the pack's row,
/// the frame's number and the offset in it. A chunk that is in several packs has several rows. Memory
/// does not grow with the repository: SQLite's cache is bounded. Safe to use from several threads;
/// calls block and go one after the other.
///
/// The table keeps a sum of all its rows. When it is opened, unless it is too large for that, and by
/// ``verify()``, they are compared: a table that a disk has changed is replaced by an empty one.
public final class ChunkTable: Sendable {
    private static let schemaVersion: Int64 = 2
    static let offsetBits: UInt64 = 22
    static let frameBits: UInt64 = 12
    /// Larger tables are not read through whenever they are opened.
    static let verifiedSize: UInt64 = 64 << 20

    struct Open: ~Copyable {
        let database: Database
        var isEmpty: Bool
    }
    let state: Mutex<Open>

    /// Opens the table at `path`; a damaged or foreign one is replaced by an empty one.
    ///
    /// - Parameter cache: Bytes of pages that SQLite keeps in memory.
    /// - Returns: The table; ask ``packs()`` to see what it knows.
    public init(at path: String, cache: ByteCount = ByteCount(32 << 20)) throws {
        var options = DatabaseOptions()
        options.synchronous = .normal
        options.cache = cache
        let database = try Self.open(path, options)
        let first = try database.statement("SELECT 1 FROM chunks LIMIT 1")
        let isEmpty = try !first.step()
        first.reset()
        state = Mutex(Open(database: database, isEmpty: isEmpty))
    }

    /// Removes the table at `path`; opening it again makes an empty one.
    public static func remove(at path: String) throws {
        for suffix in ["", "-wal", "-shm"] { try removeFile(path + suffix) }
    }

    private static func open(_ path: String, _ options: DatabaseOptions) throws -> Database {
        do {
            let database = try Database(path, options: options)
            if try database.userVersion() == 0 { try create(in: database) }
            if try database.userVersion() == schemaVersion {
                if (try FileSystem().size(of: path) ?? 0) <= verifiedSize {
                    try verify(database)
                }
                return database
            }
        } catch is DamagedDatabase {
        } catch let failure as Failure where failure.code == .failed && !failure.isTransient {
            // A changed byte in a header can look like anything. What is really in the way of a new
            // file shows when one is made.
        }
        // It holds nothing that the packs do not hold too.
        try remove(at: path)
        let database = try Database(path, options: options)
        try create(in: database)
        return database
    }

    private static func create(in database: Database) throws {
        try database.transaction { database in
            // Another process may have been faster.
            guard try database.userVersion() == 0 else { return }
            try database.execute(
                """
                CREATE TABLE packs (
                    number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, size INTEGER NOT NULL);
                CREATE TABLE frames (
                    pack INTEGER NOT NULL, number INTEGER NOT NULL, offset INTEGER NOT NULL,
                    stored INTEGER NOT NULL, plain INTEGER NOT NULL, encoding INTEGER NOT NULL,
                    PRIMARY KEY (pack, number)) WITHOUT ROWID;
                CREATE TABLE chunks (
                    id BLOB NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (id, place))
                    WITHOUT ROWID;
                CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
                """)
            try setFact("sum", 0, database)
            try setFact("generation", .random(in: 1...(1 << 60)), database)
            try database.setUserVersion(schemaVersion)
        }
    }

    /// Which of `ids` have a place.
    public func contains(_ ids: [ChunkID]) throws -> [Bool] {
        try state.withLock { state in
            var found = [Bool](repeating: false, count: ids.count)
            if state.isEmpty { return found }
            try Self.forEachPlace(of: ids, in: state.database) { index, _ in found[index] = true }
            return found
        }
    }

    /// The places of `ids`, nil where none is known.
    public func locate(_ ids: [ChunkID]) throws -> [ChunkLocation?] {
        try state.withLock { state in
            var places = [UInt64?](repeating: nil, count: ids.count)
            try Self.forEachPlace(of: ids, in: state.database) { index, place in
                places[index] = place
            }
            var packs: [Int64: PackID] = [:]
            var frames: [UInt64: FrameLocation] = [:]
            return try places.map { place in
                guard let place else { return nil }
                let number = Int64(place >> (Self.frameBits + Self.offsetBits))
                let frameKey = place >> Self.offsetBits
                let offset = UInt32(place & (1 << Self.offsetBits - 1))
                if packs[number] == nil { packs[number] = try Self.pack(number, state.database) }
                if frames[frameKey] == nil {
                    frames[frameKey] = try Self.frame(
                        pack: number, number: frameKey & (1 << Self.frameBits - 1), state.database)
                }
                guard let pack = packs[number], let frame = frames[frameKey] else { return nil }
                return ChunkLocation(pack: pack, frame: frame, offset: offset)
            }
        }
    }

    /// Takes note of a durable pack; one that is known already stays as it is.
    public func record(_ contents: PackContents) throws {
        try state.withLock { state in
            try state.database.transaction { database in try Self.insert(contents, into: database) }
            if !contents.chunks.isEmpty { state.isEmpty = false }
        }
    }

    /// All packs known, with their sizes in bytes.
    public func packs() throws -> [PackID: UInt64] {
        try state.withLock { state in
            let statement = try state.database.statement("SELECT id, size FROM packs")
            defer { statement.reset() }
            var packs: [PackID: UInt64] = [:]
            while try statement.step() {
                if let id = PackID(bytes: statement.blob(0)) {
                    packs[id] = UInt64(statement.int64(1))
                }
            }
            return packs
        }
    }

    /// Forgets packs and every place in them.
    ///
    /// - Complexity: One pass over all places.
    public func remove(_ packs: Set<PackID>) throws {
        guard !packs.isEmpty else { return }
        try state.withLock { state in
            try state.database.transaction { database in
                try database.execute("CREATE TEMP TABLE gone (number INTEGER PRIMARY KEY)")
                let insert = try database.statement(
                    "INSERT INTO gone SELECT number FROM packs WHERE id = ?")
                for pack in packs {
                    insert.bind(pack.bytes, at: 1)
                    try insert.run()
                    insert.reset()
                }
                let shift = Self.frameBits + Self.offsetBits
                let sum = try Self.sum(ofGonePacks: database)
                try Self.setFact("sum", try Self.fact("sum", database) &- sum, database)
                try Self.setFact(
                    "generation", try Self.fact("generation", database) &+ 1, database)
                try database.execute(
                    """
                    DELETE FROM chunks WHERE place >> \(shift) IN (SELECT number FROM gone);
                    DELETE FROM frames WHERE pack IN (SELECT number FROM gone);
                    DELETE FROM packs WHERE number IN (SELECT number FROM gone);
                    DROP TABLE gone;
                    """)
            }
        }
    }

    /// Counts, frame by frame, chunks that are still needed and chunks that are not.
    ///
    /// - Parameter isLive: Asked with the first 64 bits of a chunk's name.
    /// - Complexity: One pass over all places; memory for every frame.
    public func usage(_ isLive: (UInt64) -> Bool) throws -> [PackID: PackUsage] {
        try state.withLock { state in
            var counts: [UInt64: (live: Int, dead: Int)] = [:]
            func count(_ row: (key: RowKey, place: UInt64), isNewest: Bool) {
                let frame = row.place >> Self.offsetBits
                if isNewest, isLive(row.key.high) {
                    counts[frame, default: (0, 0)].live += 1
                } else {
                    counts[frame, default: (0, 0)].dead += 1
                }
            }
            // In the order of the rows the newest place of a chunk comes last.
            let chunks = try state.database.statement(
                "SELECT id, place FROM chunks ORDER BY id, place")
            var last: (key: RowKey, place: UInt64)?
            while try chunks.step() {
                let row = (
                    key: RowKey(chunks.bytes(0)), place: UInt64(bitPattern: chunks.int64(1))
                )
                if let last { count(last, isNewest: last.key != row.key) }
                last = row
            }
            if let last { count(last, isNewest: true) }
            chunks.reset()
            var usage: [PackID: PackUsage] = [:]
            var numbers: [Int64: PackID] = [:]
            let packs = try state.database.statement("SELECT number, id, size FROM packs")
            while try packs.step() {
                guard let id = PackID(bytes: packs.blob(1)) else { continue }
                numbers[packs.int64(0)] = id
                usage[id] = PackUsage(size: UInt64(packs.int64(2)))
            }
            packs.reset()
            for (key, count) in counts {
                let number = Int64(key >> Self.frameBits)
                let frameNumber = key & (1 << Self.frameBits - 1)
                guard let pack = numbers[number],
                    let location = try Self.frame(
                        pack: number, number: frameNumber, state.database)
                else { continue }
                var frame = PackUsage.Frame(location: location)
                frame.live = count.live
                frame.dead = count.dead
                usage[pack]?.frames[location.number] = frame
            }
            return usage
        }
    }

    // MARK: Rows

    /// The part of a name that rows are found by.
    struct RowKey: Comparable {
        var high: UInt64
        var low: UInt64

        init(_ id: ChunkID) { (high, low) = (id.words.0, id.words.1) }

        /// From a row's own bytes; one of another length is none of ours and gives zeros.
        init(_ bytes: UnsafeRawBufferPointer) {
            guard bytes.count == 16 else {
                (high, low) = (0, 0)
                return
            }
            high = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
            low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }

        static func < (left: Self, right: Self) -> Bool {
            (left.high, left.low) < (right.high, right.low)
        }

        func bind(to statement: Statement, at index: Int32, _ body: () throws -> Void) rethrows {
            let big = (high.bigEndian, low.bigEndian)
            try withUnsafeBytes(of: big) {
                statement.bindStatic($0, at: index)
                try body()
            }
        }
    }

    /// Calls `body` with the index in `ids` and the place of each chunk that has one; asks in the
    /// order of the rows, so that neighbours share pages.
    private static func forEachPlace(
        of ids: [ChunkID], in database: Database, _ body: (Int, UInt64) -> Void
    ) throws {
        let statement = try database.statement(
            "SELECT place FROM chunks WHERE id = ? ORDER BY place DESC LIMIT 1")
        let keys = ids.map { RowKey($0) }
        for index in ids.indices.sorted(by: { keys[$0] < keys[$1] }) {
            try keys[index].bind(to: statement, at: 1) {
                if try statement.step() {
                    body(index, UInt64(bitPattern: statement.int64(0)))
                }
                statement.reset()
            }
        }
    }

    private static func insert(_ contents: PackContents, into database: Database) throws {
        let pack = try database.statement("INSERT OR IGNORE INTO packs (id, size) VALUES (?, ?)")
        pack.bind(contents.pack.bytes, at: 1)
        pack.bind(Int64(contents.size), at: 2)
        try pack.run()
        pack.reset()
        guard database.changedRows == 1 else { return }
        let number = database.lastInsertedRow
        var sum = RowSum()
        sum.add(pack: number, contents.pack, size: contents.size)
        let frame = try database.statement("INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?)")
        for location in contents.frames {
            frame.bind(number, at: 1)
            frame.bind(Int64(location.number), at: 2)
            frame.bind(Int64(location.offset), at: 3)
            frame.bind(Int64(location.storedLength), at: 4)
            frame.bind(Int64(location.plainLength), at: 5)
            frame.bind(Int64(location.encoding), at: 6)
            try frame.run()
            frame.reset()
            sum.add(frame: location, of: number)
        }
        let chunk = try database.statement("INSERT OR IGNORE INTO chunks VALUES (?, ?)")
        let rows = contents.chunks.map { entry in
            let place =
                (UInt64(number) << frameBits | UInt64(entry.frame)) << offsetBits
                | UInt64(entry.offset)
            return (key: RowKey(entry.id), place: Int64(bitPattern: place))
        }
        for row in rows.sorted(by: { $0.key < $1.key }) {
            try row.key.bind(to: chunk, at: 1) {
                chunk.bind(row.place, at: 2)
                try chunk.run()
                chunk.reset()
            }
            if database.changedRows == 1 { sum.add(chunk: row.key, row.place) }
        }
        try setFact("sum", try fact("sum", database) &+ sum.value, database)
    }

    private static func pack(_ number: Int64, _ database: Database) throws -> PackID? {
        let statement = try database.statement("SELECT id FROM packs WHERE number = ?")
        defer { statement.reset() }
        statement.bind(number, at: 1)
        return try statement.step() ? PackID(bytes: statement.blob(0)) : nil
    }

    private static func frame(pack: Int64, number: UInt64, _ database: Database) throws
        -> FrameLocation?
    {
        let statement = try database.statement(
            "SELECT offset, stored, plain, encoding FROM frames WHERE pack = ? AND number = ?")
        defer { statement.reset() }
        statement.bind(pack, at: 1)
        statement.bind(Int64(number), at: 2)
        guard try statement.step() else { return nil }
        return FrameLocation(
            number: UInt32(number), offset: UInt64(statement.int64(0)),
            storedLength: UInt32(statement.int64(1)), plainLength: UInt32(statement.int64(2)),
            encoding: UInt8(statement.int64(3)))
    }
}

/// Removes a file that may not be there.
private func removeFile(_ path: String) throws {
    do throws(SystemError) {
        try FileSystem().unlink(path)
    } catch {
        throw error.failure(side: .local)
    }
}
