import CLinux
import Engine
import Glibc
import Repository

/// Reads a file into a content, holes as holes.
enum FileReading {
    /// - Returns: Bytes of content, holes counted.
    static func read(
        _ descriptor: Int32, status: stat, into writer: ContentWriter
    ) throws(SystemError) -> UInt64 {
        // Fewer blocks than bytes: there may be holes. A file written to just now keeps some of its
        // bytes where SEEK_DATA does not see them on some file systems, so it is read as it is.
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let isSettled = now.tv_sec - status.st_mtim.tv_sec > 3
        if status.st_blocks * 512 < status.st_size, isSettled {
            return try readSparse(descriptor, into: writer)
        }
        return try readRun(descriptor, from: 0, to: .max, into: writer)
    }

    /// Reads from `offset` until `end` or the end of the file.
    private static func readRun(
        _ descriptor: Int32, from start: UInt64, to end: UInt64, into writer: ContentWriter
    ) throws(SystemError) -> UInt64 {
        var offset = start
        while offset < end {
            let count: Int
            do {
                let room = try writer.room()
                let wanted = Int(min(UInt64(room.count), end - offset))
                count = pread(descriptor, room.baseAddress, wanted, off_t(offset))
                if count > 0 { try writer.advance(count) }
            } catch {
                // The session has failed; its own error ends the capture at the next call.
                throw SystemError("read", path: "", number: ECANCELED)
            }
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw .last("read", "")
            }
            offset += UInt64(count)
        }
        return offset - start
    }

    private static func readSparse(
        _ descriptor: Int32, into writer: ContentWriter
    ) throws(SystemError) -> UInt64 {
        var offset: off_t = 0
        while true {
            let data = lseek(descriptor, offset, DR_SEEK_DATA)
            if data < 0 {
                guard errno == ENXIO else { throw .last("lseek", "") }
                let end = lseek(descriptor, 0, Int32(SEEK_END))
                if end > offset { writer.appendZeros(UInt64(end - offset)) }
                return UInt64(Swift.max(end, offset))
            }
            if data > offset { writer.appendZeros(UInt64(data - offset)) }
            let hole = lseek(descriptor, data, DR_SEEK_HOLE)
            guard hole >= 0 else { throw .last("lseek", "") }
            let count = try readRun(
                descriptor, from: UInt64(data), to: UInt64(hole), into: writer)
            // Cut short meanwhile: what is there is the file.
            if count < UInt64(hole - data) { return UInt64(data) + count }
            offset = hole
        }
    }
}
