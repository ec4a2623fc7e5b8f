import FoundationEssentials
import Model

/// Files of an SFTP server over one connection. Calls block.
///
/// Reads and writes are sent ahead of the answers to those before: one journey there and back for
/// all of them together.
struct SFTPFiles: Sendable {
    let connection: SFTPConnection
    var uploads: RateLimit?
    var downloads: RateLimit?

    /// What every server takes in one packet.
    private static let step = 32 << 10
    /// Packets that are under way at once.
    private static let ahead = 64

    private enum Flags {
        static let read: UInt32 = 1
        static let createNew: UInt32 = 2 | 8 | 0x20
    }

    // MARK: Looking

    /// nil when there is nothing of that name; links are followed.
    func attributes(_ path: String) throws -> SFTPAttributes? {
        try orNil { try attributes(SFTPRequest(.stat).text(path)) }
    }

    private func attributes(_ request: SFTPRequest) throws -> SFTPAttributes {
        var reply = try connection.ask(request, .attributes)
        return try reply.attributes()
    }

    /// What a directory holds, without `.` and `..`; nil when there is none.
    func entries(_ path: String) throws -> [(name: String, SFTPAttributes)]? {
        let directory = try orNil { try opened(SFTPRequest(.openDirectory).text(path)) }
        guard let handle = directory else { return nil }
        defer { _ = try? connection.ask(SFTPRequest(.close).text(handle), .status) }
        var entries: [(name: String, SFTPAttributes)] = []
        while true {
            do {
                var reply = try connection.ask(SFTPRequest(.readDirectory).text(handle), .name)
                for _ in 0..<(try reply.number()) {
                    let name = try reply.text()
                    _ = try reply.bytes()
                    let attributes = try reply.attributes()
                    if name != ".", name != ".." { entries.append((name, attributes)) }
                }
            } catch let refusal as SFTPRefusal where refusal.status == .endOfFile {
                return entries
            }
        }
    }

    private func opened(_ request: SFTPRequest) throws -> [UInt8] {
        var reply = try connection.ask(request, .handle)
        return Array(try reply.bytes())
    }

    private func orNil<Value>(_ body: () throws -> Value) throws -> Value? {
        do { return try body() } catch let refusal as SFTPRefusal {
            if refusal.status == .noSuchFile { return nil }
            throw refusal
        }
    }

    // MARK: Reading

    /// A range of a file; nil when there is no regular file of that name.
    func read(_ path: String, _ range: ObjectRange) throws -> Data? {
        let request = SFTPRequest(.open).text(path).number(Flags.read).number(0)
        guard let handle = try orNil({ try opened(request) }) else { return nil }
        defer { _ = try? connection.ask(SFTPRequest(.close).text(handle), .status) }
        let found = try attributes(SFTPRequest(.fstat).text(handle))
        guard found.isFile, let size = found.size else { return nil }
        let start: UInt64
        let count: Int
        switch range {
        case .whole: (start, count) = (0, Int(clamping: size))
        case .bytes(let offset, let length):
            start = min(offset, size)
            count = Int(clamping: min(UInt64(clamping: length), size - start))
        case .suffix(let length):
            count = Int(clamping: min(UInt64(clamping: length), size))
            start = size - UInt64(count)
        }
        return try read(handle, from: start, count: count)
    }

    private func read(_ handle: [UInt8], from start: UInt64, count: Int) throws -> Data {
        var data = Data(count: count)
        var asked = 0
        var under: [(id: UInt32, offset: Int, length: Int)] = []
        var failure: (any Error)?
        var next = 0
        while asked < count || next < under.count {
            while failure == nil, asked < count, under.count - next < Self.ahead {
                let length = min(Self.step, count - asked)
                // Before it is asked for: while nothing is due, silence is not counted.
                downloads?.take(length)
                under.append((try ask(handle, start, asked, length), asked, length))
                asked += length
            }
            guard next < under.count else { break }
            let (id, offset, length) = under[next]
            next += 1
            do {
                var reply = try SFTPConnection.checked(try connection.reply(to: id), .data)
                let bytes = try reply.bytes()
                guard !bytes.isEmpty, bytes.count <= length else { throw SFTPReply.broken }
                data.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
                // A server may give less than it was asked for.
                if bytes.count < length, failure == nil {
                    let rest = offset + bytes.count
                    under.append(
                        (
                            try ask(handle, start, rest, length - bytes.count), rest,
                            length - bytes.count
                        ))
                }
            } catch {
                failure = failure ?? error
            }
            if next > 1024 {
                under.removeFirst(next)
                next = 0
            }
        }
        if let failure { throw failure }
        return data
    }

    private func ask(
        _ handle: [UInt8], _ start: UInt64, _ offset: Int, _ length: Int
    ) throws -> UInt32 {
        try connection.send(
            SFTPRequest(.read).text(handle).long(start + UInt64(offset)).number(UInt32(length)))
    }

    // MARK: Writing

    /// Writes a new file and makes it durable where the server can.
    func write(_ path: String, _ parts: [Data]) throws {
        let handle = try opened(
            SFTPRequest(.open).text(path).number(Flags.createNew).number(4).number(0o600))
        var under: [UInt32] = []
        var next = 0
        var failure: (any Error)?
        func take() {
            do {
                _ = try SFTPConnection.checked(try connection.reply(to: under[next]), .status)
            } catch {
                failure = failure ?? error
            }
            next += 1
        }
        var offset: UInt64 = 0
        for part in parts {
            var position = part.startIndex
            while position < part.endIndex, failure == nil {
                let end = min(position + Self.step, part.endIndex)
                uploads?.take(end - position)
                under.append(
                    try connection.send(
                        SFTPRequest(.write).text(handle).long(offset).text(part[position..<end])))
                offset += UInt64(end - position)
                position = end
                if under.count - next >= Self.ahead { take() }
            }
        }
        if failure == nil, connection.extensions["fsync@openssh.com"] != nil {
            under.append(
                try connection.send(
                    SFTPRequest(.extended).text("fsync@openssh.com").text(handle)))
        }
        under.append(try connection.send(SFTPRequest(.close).text(handle)))
        while next < under.count { take() }
        if let failure { throw failure }
    }

    /// Gives a file another name, replacing what has it.
    func rename(_ old: String, to new: String) throws {
        if connection.extensions["posix-rename@openssh.com"] != nil {
            try connection.ask(
                SFTPRequest(.extended).text("posix-rename@openssh.com").text(old).text(new),
                .status)
            return
        }
        do {
            try connection.ask(SFTPRequest(.rename).text(old).text(new), .status)
        } catch let refusal as SFTPRefusal where refusal.status == .failure {
            // The protocol's own never replaces. What is there has the same bytes, or is a session
            // of the same writer: it may be absent for a moment.
            guard try attributes(new) != nil else { throw refusal }
            try remove(new)
            try connection.ask(SFTPRequest(.rename).text(old).text(new), .status)
        }
    }

    /// Removes a file; one that is gone is no error.
    func remove(_ path: String) throws {
        _ = try orNil { try connection.ask(SFTPRequest(.remove).text(path), .status) }
    }

    /// Makes a directory, and those above it; ones that exist are no error.
    func makeDirectories(_ path: String) throws {
        guard try attributes(path)?.isDirectory != true else { return }
        if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            try makeDirectories(String(path[..<slash]))
        }
        do {
            try connection.ask(
                SFTPRequest(.makeDirectory).text(path).number(4).number(0o700), .status)
        } catch let refusal as SFTPRefusal {
            // Somebody else may have been quicker.
            guard try attributes(path)?.isDirectory == true else { throw refusal }
        }
    }

    /// Says when a file was changed.
    func touch(_ path: String, _ moment: Timestamp) throws {
        let seconds = UInt32(clamping: moment.wholeSeconds)
        try connection.ask(
            SFTPRequest(.setstat).text(path).number(8).number(seconds).number(seconds), .status)
    }

    /// Bytes that may still be written at a path; nil where the server does not tell.
    func freeBytes(_ path: String) throws -> UInt64? {
        guard connection.extensions["statvfs@openssh.com"] != nil else { return nil }
        var reply = try connection.ask(
            SFTPRequest(.extended).text("statvfs@openssh.com").text(path), .extended)
        _ = try reply.long()
        let unit = try reply.long()
        _ = (try reply.long(), try reply.long())
        return unit.multipliedReportingOverflow(by: try reply.long()).partialValue
    }
}
