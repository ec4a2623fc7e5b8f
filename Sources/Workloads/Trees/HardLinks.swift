import CLinux
import Engine
import Glibc
import Model

/// The files of this run that later entries may be further names of.
///
/// A link is only made to the very file that this run made, known by device and inode: whatever has
/// taken its name meanwhile is not linked to.
struct HardLinks {
    private struct Inode: Hashable {
        var device: UInt64
        var number: UInt64

        init?(_ descriptor: Int32) {
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { return nil }
            device = UInt64(status.st_dev)
            number = UInt64(status.st_ino)
        }
    }

    /// Files that the tree says have several names, by the path that later entries name.
    private var made: [[UInt8]: (path: [UInt8], file: Inode)] = [:]
    /// Files of archives, which do not say how many names a file has: too many to keep their paths.
    private var unnamed: Set<Inode> = []
    /// Further names that were made of a file.
    private var names: [Inode: [[UInt8]]] = [:]

    /// Remembers the open file just made for `entry`, if it may get more names.
    mutating func remember(_ entry: TreeEntry, _ descriptor: Int32) {
        guard entry.linkCount != 1 || entry.hardLink != nil, let file = Inode(descriptor) else {
            return
        }
        if entry.linkCount == 0 {
            unnamed.insert(file)
            return
        }
        made[entry.path] = (entry.path, file)
        // The first name could not be linked to: further names become names of this one.
        if let first = entry.hardLink, made[first] == nil { made[first] = (entry.path, file) }
    }

    /// Remembers that `path` became another name of the file that `first` stands for.
    mutating func linked(_ path: [UInt8], to first: [UInt8]) {
        if let file = made[first]?.file { names[file, default: []].append(path) }
    }

    /// Forgets a file that is given up.
    ///
    /// - Returns: Its further names, which hold nothing either.
    mutating func forget(_ path: [UInt8], _ descriptor: Int32) -> [[UInt8]] {
        made[path] = nil
        guard let file = Inode(descriptor) else { return [] }
        unnamed.remove(file)
        return names.removeValue(forKey: file) ?? []
    }

    /// The file that `first` stands for, opened with `O_PATH`; nil when it was not made here.
    func open(_ first: [UInt8], under root: Int32) -> Int32? {
        let known = made[first]
        guard known != nil || !unnamed.isEmpty, !first.isEmpty,
            EntryName.refusal(of: first) == nil
        else { return nil }
        let descriptor = EntryName.openBeneath(known?.path ?? first, under: root)
        guard descriptor >= 0 else { return nil }
        if let file = Inode(descriptor), known.map({ $0.file == file }) ?? unnamed.contains(file) {
            return descriptor
        }
        _ = close(descriptor)
        return nil
    }
}
