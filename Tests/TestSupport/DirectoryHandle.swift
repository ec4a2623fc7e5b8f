import CLinux
import Glibc

/// An open directory, for walks and makings that no path length stops.
///
/// Names inside are bytes. Calls that know no directory descriptor go through `/proc/self/fd`.
final class DirectoryHandle {
    let descriptor: Int32

    init(_ path: String) throws {
        descriptor = dr_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        if descriptor < 0 { throw OutsideProgram.Problem("open \(path)") }
    }

    init(_ name: [UInt8], in parent: DirectoryHandle) throws {
        descriptor = parent.with(name) {
            dr_openat(AT_FDCWD, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        }
        if descriptor < 0 { throw OutsideProgram.Problem("open \(escaped(name))") }
    }

    deinit { close(descriptor) }

    /// Calls `body` with a path that means `name` in this directory.
    func with<Value>(_ name: [UInt8], _ body: (UnsafePointer<CChar>) throws -> Value) rethrows
        -> Value
    {
        let path = Array("/proc/self/fd/\(descriptor)/".utf8) + name + [0]
        return try path.withUnsafeBytes {
            try $0.withMemoryRebound(to: CChar.self) { buffer in
                guard let base = buffer.baseAddress else { preconditionFailure("never empty") }
                return try body(base)
            }
        }
    }

    /// Throws the error in `errno` unless `result` is 0.
    func check(_ result: Int32, _ call: String, _ name: [UInt8]) throws {
        if result != 0 { throw OutsideProgram.Problem("\(call) \(escaped(name))") }
    }

    func status(_ name: [UInt8]) throws -> stat {
        var status = stat()
        try check(with(name) { lstat($0, &status) }, "lstat", name)
        return status
    }

    /// Names in byte order, without `.` and `..`.
    func names() throws -> [[UInt8]] {
        guard let stream = fdopendir(dup(descriptor)) else {
            throw OutsideProgram.Problem("fdopendir")
        }
        defer { closedir(stream) }
        rewinddir(stream)
        var names: [[UInt8]] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: UInt8.self, capacity: 256) {
                    Array(UnsafeBufferPointer(start: $0, count: strlen($0)))
                }
            }
            if name != Array(".".utf8), name != Array("..".utf8) { names.append(name) }
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// Extended attributes of an entry itself, links not followed; ACLs are among them.
    func attributes(_ name: [UInt8]) -> [(name: String, value: [UInt8])] {
        with(name) { path in
            var list = [CChar](repeating: 0, count: 65536)
            let length = llistxattr(path, &list, list.count)
            guard length > 0 else { return [] }
            return list.prefix(length).split(separator: 0).map { characters in
                let key = String(
                    decoding: characters.map(UInt8.init(bitPattern:)), as: UTF8.self)
                var value = [UInt8](repeating: 0, count: 65536)
                let count = lgetxattr(path, key, &value, value.count)
                return (key, Array(value.prefix(max(0, count))))
            }.sorted { $0.name < $1.name }
        }
    }

    private func strlen(_ pointer: UnsafePointer<UInt8>) -> Int {
        var count = 0
        while pointer[count] != 0 { count += 1 }
        return count
    }
}

/// A name without a byte that a terminal or a reader could mistake; different names stay different.
func escaped(_ name: some Sequence<UInt8>) -> String {
    var text = ""
    for byte in name {
        if byte > 0x20, byte < 0x7f, byte != UInt8(ascii: "\\") {
            text.unicodeScalars.append(Unicode.Scalar(byte))
        } else {
            let digits = String(byte, radix: 16)
            text += "\\x" + (digits.count < 2 ? "0" : "") + digits
        }
    }
    return text
}
