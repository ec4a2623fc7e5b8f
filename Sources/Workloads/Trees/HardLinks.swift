import CLinux
import Engine
import Glibc
import Model

/// The files of this run that later entries may be further names of.
///
/// A link is only made to the very file that this run made, known by device and inode: whatever has
/// taken its name meanwhile is not linked to.
struct HardLinks {
    private struct Made {
        var path: [UInt8]
        var device: UInt64
        var inode: UInt64
    }

    /// By the path that later entries name.
    private var made: [[UInt8]: Made] = [:]

    /// Remembers the open file just made for `entry`, if it may get more names.
    mutating func remember(_ entry: TreeEntry, _ descriptor: Int32) {
        guard entry.linkCount != 1 || entry.hardLink != nil else { return }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return }
        let file = Made(
            path: entry.path, device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        made[entry.path] = file
        // The first name was left out: further names become names of this one.
        if let first = entry.hardLink, made[first] == nil { made[first] = file }
    }

    mutating func forget(_ path: [UInt8]) { made[path] = nil }

    /// The file that `first` stands for, opened with `O_PATH`; nil when it was not made here.
    func open(_ first: [UInt8], under root: Int32) -> Int32? {
        guard let file = made[first] else { return nil }
        let descriptor = EntryName.openBeneath(file.path, under: root)
        guard descriptor >= 0 else { return nil }
        var status = stat()
        if fstat(descriptor, &status) == 0, UInt64(status.st_dev) == file.device,
            UInt64(status.st_ino) == file.inode
        {
            return descriptor
        }
        _ = close(descriptor)
        return nil
    }
}
