import CLinux
import Engine
import Glibc
import Model

/// Gives entries that were just made their owner, attributes, mode and time, always through a
/// descriptor, never through a name that somebody could have changed meanwhile.
struct MetadataWriter: Sendable {
    let options: TreeReplayOptions
    let tally: ReplayTally
    /// UTIME_OMIT, a macro that Swift does not see.
    static let leaveTime = (1 << 30) - 2
    private let user = geteuid()
    private let group = getegid()

    init(options: TreeReplayOptions, tally: ReplayTally) {
        self.options = options
        self.tally = tally
    }

    /// Completes a regular file or a directory.
    ///
    /// - Parameter fresh: Made just now with mode 0600 or 0700 in a directory from which nothing is
    ///   inherited: what already fits is left alone.
    func apply(_ entry: TreeEntry, to descriptor: Int32, fresh: Bool) {
        // chown clears setuid bits and capabilities, so it goes first; a user attribute needs a
        // writable file, so the mode goes last.
        if options.owners, !fresh || entry.userID != user || entry.groupID != group,
            fchown(descriptor, entry.userID, entry.groupID) != 0
        {
            problem(entry, "owner")
        }
        if !fresh { removeOthers(entry, descriptor) }
        for attribute in entry.attributes where isWanted(attribute) {
            let result = EntryName.withCString(attribute.name) { name in
                attribute.value.withUnsafeBytes {
                    fsetxattr(descriptor, name, $0.baseAddress, $0.count, 0)
                }
            }
            if result != 0 { problem(entry, "attribute \(printable(attribute.name))") }
        }
        let mode = mode(of: entry)
        let made: UInt32 = entry.type == .directory ? 0o700 : 0o600
        if !fresh || mode != made, fchmod(descriptor, mode) != 0 { problem(entry, "mode") }
        var times = Self.times(entry)
        if futimens(descriptor, &times) != 0 { problem(entry, "time") }
    }

    /// Completes a symbolic link, FIFO or device, which cannot be opened.
    ///
    /// - Parameters:
    ///   - descriptor: Opened with `O_PATH | O_NOFOLLOW`.
    ///   - directory: Where it lies under its name.
    func apply(_ entry: TreeEntry, toPath descriptor: Int32, in directory: Int32) {
        if options.owners,
            fchownat(descriptor, "", entry.userID, entry.groupID, dr_AT_EMPTY_PATH) != 0
        {
            problem(entry, "owner")
        }
        let link = "/proc/self/fd/\(descriptor)"
        if entry.type != .symlink, chmod(link, mode(of: entry)) != 0 { problem(entry, "mode") }
        let byName = Array("/proc/self/fd/\(directory)/".utf8) + Array(entry.name)
        for attribute in entry.attributes where isWanted(attribute) {
            let result = EntryName.withCString(attribute.name) { name in
                EntryName.withCString(byName) { path in
                    attribute.value.withUnsafeBytes {
                        lsetxattr(path, name, $0.baseAddress, $0.count, 0)
                    }
                }
            }
            if result != 0 { problem(entry, "attribute \(printable(attribute.name))") }
        }
        var times = Self.times(entry)
        if utimensat(descriptor, "", &times, dr_AT_EMPTY_PATH) == 0 { return }
        // Before Linux 5.8.
        let result = EntryName.withCString(entry.name) {
            utimensat(directory, $0, &times, AT_SYMLINK_NOFOLLOW)
        }
        if result != 0 { problem(entry, "time") }
    }

    /// The permission bits that come back.
    ///
    /// A setuid bit without its owner would make the file run as whoever restores it.
    private func mode(of entry: TreeEntry) -> UInt32 {
        let mode = entry.mode & 0o7777
        guard mode & 0o6000 != 0, !options.privilegedMetadata || !options.owners else {
            return mode
        }
        tally.dropped(.setuid)
        return mode & 0o1777
    }

    private func isWanted(_ attribute: ExtendedAttribute) -> Bool {
        let name = attribute.name
        if name.starts(with: "user.".utf8) || name.starts(with: "system.posix_acl_".utf8) {
            return true
        }
        let isPrivileged =
            name.starts(with: "security.".utf8) || name.starts(with: "trusted.".utf8)
        if isPrivileged, options.privilegedMetadata { return true }
        tally.dropped(.attribute)
        return false
    }

    /// Takes away what a directory that existed, or an inherited ACL, has and the entry has not.
    private func removeOthers(_ entry: TreeEntry, _ descriptor: Int32) {
        guard let present = try? EntryMetadata.attributes(of: descriptor) else { return }
        for attribute in present
        where !attribute.name.starts(with: "security.".utf8)
            && !attribute.name.starts(with: "trusted.".utf8)
            && !entry.attributes.contains(where: { $0.name == attribute.name })
        {
            _ = EntryName.withCString(attribute.name) { fremovexattr(descriptor, $0) }
        }
    }

    private func problem(_ entry: TreeEntry, _ what: String) {
        let reason = String(cString: strerror(dr_errno())).lowercased()
        tally.problem(entry.path, "\(what) not restored: \(reason)")
    }

    /// The access time is left as it is.
    private static func times(_ entry: TreeEntry) -> [timespec] {
        [
            timespec(tv_sec: 0, tv_nsec: leaveTime),
            timespec(
                tv_sec: Int(entry.modified.wholeSeconds), tv_nsec: Int(entry.modified.fraction)),
        ]
    }
}
