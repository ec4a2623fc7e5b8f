/// Guests of a Proxmox VE cluster: virtual machines and containers.
public struct ProxmoxSpecification: Sendable, Hashable {
    /// Which guests.
    public enum Subject: Sendable, Hashable {
        /// By its number, the VMID.
        case guest(Int)
        case name(String)
        case pool(String)
        case tag(String)
    }

    /// How a running guest is dumped; `vzdump`'s own words.
    public enum Mode: String, Sendable, Hashable, Codable, CaseIterable {
        case snapshot, suspend, stop
    }

    /// What disks become in a directory.
    public enum ImageForm: String, Sendable, Hashable, Codable, CaseIterable {
        /// Files with holes.
        case raw
        /// Made by `qemu-img`.
        case qcow2
        /// One archive a virtual machine, for `qmrestore`.
        case vma
    }

    public var subject: Subject
    /// The node, for example `root@pve1`, whose cluster it is; nil for this machine.
    public var ssh: String?
    /// A directory of `vzdump`'s files, which are taken instead of dumping.
    public var exports: String?
    public var mode: Mode
    /// The storage that takes what a guest overwrites meanwhile; nil for none.
    public var fleecing: String?
    /// KiB a second; 0 for no limit.
    public var bandwidth: Int
    public var images: ImageForm
    public var restore: ProxmoxPlacement

    public init(subject: Subject, ssh: String? = nil) {
        self.subject = subject
        self.ssh = ssh
        exports = nil
        mode = .snapshot
        fleecing = nil
        bandwidth = 0
        images = .raw
        restore = ProxmoxPlacement()
    }

    public var name: String {
        switch subject {
        case .guest(let number): "\(number)"
        case .name(let name): name
        case .pool(let pool): "pool-\(pool)"
        case .tag(let tag): "tag-\(tag)"
        }
    }
}

/// Where and how guests come back; what is nil stays as it was.
public struct ProxmoxPlacement: Sendable, Hashable {
    /// Another number; only for a single guest.
    public var guest: Int?
    /// Added to the number of each guest.
    public var offset: Int
    /// The storage of all disks.
    public var storage: String?
    public var node: String?
    public var pool: String?
    /// New network addresses and a new identity; nil for: when the original still exists.
    public var unique: Bool?
    /// nil for: when it ran as it was captured, or starts with its node.
    public var start: Bool?
    /// How long a guest may take until it answers.
    public var wait: TimeSpan
    /// KiB a second; 0 for no limit.
    public var bandwidth: Int
    /// Numbers of a drill's copies, by those of their originals; nil outside drills.
    public var drilled: [Int: Int]?

    public init() {
        offset = 0
        wait = TimeSpan(seconds: 300)
        bandwidth = 0
    }

    /// The number that a guest gets.
    public func number(of guest: Int) -> Int {
        drilled?[guest] ?? self.guest ?? guest + offset
    }
}
