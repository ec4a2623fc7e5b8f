import Model

/// Makes an entry of a header and the records that belong to it.
struct TarEntryMaker {
    let header: TarHeader
    let records: PaxRecords
    let name: [UInt8]
    let linkName: [UInt8]
    private var remarks: [String] = []

    init(header: TarHeader, records: PaxRecords, name: [UInt8], linkName: [UInt8]) {
        self.header = header
        self.records = records
        self.name = name
        self.linkName = linkName
    }

    /// - Returns: The entry, and whether data may follow it.
    mutating func make() throws(TarProblem) -> (TarReader.Item, hasData: Bool) {
        guard !name.isEmpty else { throw TarProblem("an entry has no name") }
        let (type, hasData) = try kind()
        var entry = TreeEntry(path: Self.normalized(name), type: type)
        entry.mode = header.mode
        entry.userID = try number("uid").map { UInt32(clamping: $0) } ?? header.userID
        entry.groupID = try number("gid").map { UInt32(clamping: $0) } ?? header.groupID
        entry.modified = Timestamp(seconds: Int(header.modified), nanoseconds: 0)
        if let text = records["mtime"] {
            guard let time = TarNumber.time(text) else {
                throw TarProblem("an extended header's time is no number")
            }
            entry.modified = time
        }
        entry.linkCount = 0
        switch type {
        case .symlink: entry.linkTarget = linkName
        case .characterDevice, .blockDevice:
            entry.deviceNumber = (
                try number("SCHILY.devmajor").map { UInt32(clamping: $0) } ?? header.major,
                try number("SCHILY.devminor").map { UInt32(clamping: $0) } ?? header.minor
            )
        default: break
        }
        if header.kind == TarKind.hardLink {
            guard !linkName.isEmpty else { throw TarProblem("a hard link leads nowhere") }
            entry.hardLink = Self.normalized(linkName)
        } else {
            entry.attributes = attributes(of: type)
        }
        return (TarReader.Item(entry: entry, remarks: remarks), hasData)
    }

    private func kind() throws(TarProblem) -> (EntryType, hasData: Bool) {
        switch header.kind {
        case 0 where name.last == UInt8(ascii: "/"): return (.directory, false)
        case 0, TarKind.file, TarKind.contiguous, TarKind.gnuSparse: return (.file, true)
        case TarKind.hardLink: return (.file, false)
        case TarKind.symlink: return (.symlink, false)
        case TarKind.characterDevice: return (.characterDevice, false)
        case TarKind.blockDevice: return (.blockDevice, false)
        case TarKind.directory: return (.directory, false)
        // The list of names that GNU tar's incremental archives keep with a directory.
        case TarKind.dumpDirectory: return (.directory, true)
        case TarKind.fifo: return (.fifo, false)
        case TarKind.continuation:
            throw TarProblem("it continues another volume, which is not supported")
        default:
            throw TarProblem(
                "\(printable(name)) has the unknown type '\(printable([header.kind]))'")
        }
    }

    /// Without a leading `./`, doubled slashes and a slash at the end. What is absolute or climbs up
    /// stays so.
    static func normalized(_ name: [UInt8]) -> [UInt8] {
        let slash = UInt8(ascii: "/")
        guard name.first != slash else { return name }
        let components = name.split(separator: slash).filter { !$0.elementsEqual(".".utf8) }
        return Array(components.joined(separator: [slash]))
    }

    private func number(_ key: String) throws(TarProblem) -> UInt64? {
        guard let text = records[key] else { return nil }
        guard let value = TarNumber.decimal(text) else {
            throw TarProblem("an extended header's \(key) is no number")
        }
        return value
    }

    private mutating func attributes(of type: EntryType) -> [ExtendedAttribute] {
        var values: [[UInt8]: [UInt8]] = [:]
        for (key, value) in records.values {
            let prefix = "SCHILY.xattr."
            if key.starts(with: prefix.utf8) {
                values[PaxAttributeName.decode(key.dropFirst(prefix.utf8.count))] = value
            }
        }
        // As star and Red Hat's old tar write it.
        if let label = records["RHT.security.selinux"] {
            values[Array("security.selinux".utf8)] = label
        }
        for (key, name) in [
            ("SCHILY.acl.access", AccessControlText.access),
            ("SCHILY.acl.default", AccessControlText.inherited),
        ] {
            guard let text = records[key] else { continue }
            if let value = AccessControlText.value(of: text) {
                values[name] = value
            } else {
                remarks.append("its ACL names users or groups that are no numbers")
            }
        }
        return values.filter { !$0.key.isEmpty && !$0.key.contains(0) }
            .map { ExtendedAttribute(name: $0.key, value: $0.value) }
            .sorted { $0.name.lexicographicallyPrecedes($1.name) }
    }
}
