import CLinux
import Glibc
import Model

/// A user of this machine, as the system's user database has it.
public struct UserAccount: Sendable, Hashable {
    public var name: String
    public var id: UInt32
    public var groupID: UInt32
    /// All groups, the first one included.
    public var groups: [UInt32]
    public var home: String

    /// Looks a user up. May block: the database may be on the network.
    ///
    /// - Parameter name: A name, or a number that some user has.
    /// - Throws: ``Failure`` when there is no such user.
    public init(named name: String) throws {
        var record = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 1 << 16)
        var result = getpwnam_r(name, &record, &buffer, buffer.count, &found)
        if found == nil, let id = UInt32(name) {
            result = getpwuid_r(id, &record, &buffer, buffer.count, &found)
        }
        guard result == 0, let account = found?.pointee, let accountName = account.pw_name else {
            throw Failure(.failed, "there is no user \(printable(name.utf8))", side: .local)
        }
        self.name = String(cString: accountName)
        id = account.pw_uid
        groupID = account.pw_gid
        home = account.pw_dir.map { String(cString: $0) } ?? "/"
        var count: Int32 = 64
        var groups = [gid_t](repeating: 0, count: Int(count))
        while getgrouplist(accountName, account.pw_gid, &groups, &count) < 0 {
            groups = [gid_t](repeating: 0, count: max(Int(count), groups.count * 2))
            count = Int32(groups.count)
        }
        self.groups = Array(groups.prefix(Int(count)))
    }

    /// What a login sets, for a program that runs as this user.
    var environment: [String: String] { ["HOME": home, "USER": name, "LOGNAME": name] }
}
