import CLinux
public import Engine
import Glibc
public import Model

/// Reads the extended attributes of entries, POSIX ACLs among them. Names are bytes.
///
/// Most entries have none: that costs one system call.
public enum EntryMetadata {
    /// The attributes of an open file or directory, by name in byte order.
    ///
    /// A file system without attributes gives an empty list. What disappears while it is read is
    /// left out.
    ///
    /// - Parameter descriptor: Open for reading or writing, not with `O_PATH`.
    public static func attributes(of descriptor: Int32) throws(SystemError)
        -> [ExtendedAttribute]
    {
        try read(
            path: [],
            list: { flistxattr(descriptor, $0, $1) },
            get: { fgetxattr(descriptor, $0, $1, $2) })
    }

    /// The attributes of the entry `name` of an open directory; a symbolic link's own, not its
    /// target's. For links, FIFOs and devices, which must not be opened.
    ///
    /// - Parameters:
    ///   - name: One component.
    ///   - directory: Open directory; `O_PATH` will do.
    public static func attributes(
        ofEntry name: some Collection<UInt8>, in directory: Int32
    ) throws(SystemError) -> [ExtendedAttribute] {
        // The directory is reached through its descriptor, and the l-calls do not follow the name.
        let path = Array("/proc/self/fd/\(directory)/".utf8) + Array(name)
        return try read(
            path: Array(name),
            list: { list, size in
                EntryName.withCString(path) { llistxattr($0, list, size) }
            },
            get: { attribute, value, size in
                EntryName.withCString(path) { lgetxattr($0, attribute, value, size) }
            })
    }

    /// All attributes of one entry together, in bytes: half of what a tree's entry may have. Linux
    /// gives a value 64 KiB and most file systems an entry less than that.
    private static let limit = 8 << 20

    private static func read(
        path: [UInt8],
        list: (UnsafeMutablePointer<CChar>?, Int) -> Int,
        get: (UnsafePointer<CChar>, UnsafeMutableRawPointer?, Int) -> Int
    ) throws(SystemError) -> [ExtendedAttribute] {
        let names = try grow(path, "listxattr") { buffer, size in
            list(buffer?.assumingMemoryBound(to: CChar.self), size)
        }
        guard let names, !names.isEmpty else { return [] }
        var attributes: [ExtendedAttribute] = []
        var size = names.count
        for name in names.split(separator: 0) {
            // Other file systems' views of the same facts, or of facts that are theirs alone.
            if name.starts(with: "system.".utf8), !name.starts(with: "system.posix_acl_".utf8) {
                continue
            }
            let value = try grow(path, "getxattr") { buffer, size in
                EntryName.withCString(name) { get($0, buffer, size) }
            }
            if let value {
                size += value.count
                guard size <= limit else {
                    throw SystemError(
                        "getxattr", path: String(decoding: path, as: UTF8.self), number: E2BIG)
                }
                attributes.append(ExtendedAttribute(name: Array(name), value: value))
            }
        }
        if attributes.count > 1 {
            attributes.sort { $0.name.lexicographicallyPrecedes($1.name) }
        }
        return attributes
    }

    /// What `call` fills, in a buffer that grows until it fits; nil where there is nothing.
    private static func grow(
        _ path: [UInt8], _ name: String, _ call: (UnsafeMutableRawPointer?, Int) -> Int
    ) throws(SystemError) -> [UInt8]? {
        var size = 256
        while true {
            var number: Int32 = 0
            var needed = 0
            let filled = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                let result = call(buffer.baseAddress, size)
                if result >= 0 {
                    count = result
                } else {
                    number = dr_errno()
                    if number == ERANGE { needed = call(nil, 0) }
                    if needed < 0 { number = dr_errno() }
                }
            }
            switch number {
            case 0: return filled
            case ERANGE: size = max(needed, size * 2)
            // ENXIO, EBADF: sockets and O_PATH descriptors have none that could be read.
            case ENOTSUP, ENODATA, ENOSYS, ENXIO: return nil
            default:
                throw SystemError(
                    name, path: String(decoding: path, as: UTF8.self), number: number)
            }
        }
    }
}
