import Model

/// The header of a VMA archive: what it holds, and under which names.
public struct VMAHeader: Sendable, Hashable {
    /// A disk.
    public struct Device: Sendable, Hashable {
        /// 1 to 254.
        public var number: Int
        /// For example `drive-scsi0`.
        public var name: String
        /// In bytes; a multiple of 512.
        public var length: UInt64

        public init(number: Int, name: String, length: UInt64) {
            self.number = number
            self.name = name
            self.length = length
        }
    }

    /// A file that rides along, such as `qemu-server.conf`.
    public struct Configuration: Sendable, Hashable {
        public var name: String
        public var data: [UInt8]

        public init(name: String, data: [UInt8]) {
            self.name = name
            self.data = data
        }
    }

    /// 16 bytes, repeated in every extent.
    public var uuid: [UInt8]
    /// When it was made, in seconds since 1970.
    public var created: Int64
    public var configurations: [Configuration]
    /// By their numbers.
    public var devices: [Device]
    /// Bytes of the whole header.
    public internal(set) var length: Int

    public init(
        uuid: [UInt8], created: Int64, configurations: [Configuration], devices: [Device]
    ) {
        self.uuid = uuid
        self.created = created
        self.configurations = configurations
        self.devices = devices
        length = 0
    }

    /// The bytes of a configuration.
    public func configuration(_ name: String) -> [UInt8]? {
        configurations.first { $0.name == name }?.data
    }

    // MARK: Reading

    /// How long the header is that begins with these 12288 bytes.
    static func length(of fixed: UnsafeRawBufferPointer) throws(VMAError) -> Int {
        guard fixed.prefix(4).elementsEqual(VMAFormat.magic) else {
            throw VMAError("it does not begin as a VMA archive does", at: 0)
        }
        let length = Int(fixed.bigEndian(at: 56, as: UInt32.self))
        guard length > VMAFormat.fixedHeader, length <= VMAFormat.largestHeader,
            length % 512 == 0
        else { throw VMAError("its header cannot be \(length) bytes long", at: 56) }
        return length
    }

    /// Reads a whole header.
    init(parsing bytes: UnsafeRawBufferPointer) throws(VMAError) {
        guard VMAFormat.sum(bytes, sumAt: 32).elementsEqual(bytes[32..<48]) else {
            throw VMAError("the header's checksum is wrong", at: 32)
        }
        let version = bytes.bigEndian(at: 4, as: UInt32.self)
        guard version == 1 else { throw VMAError("it has the unknown version \(version)", at: 4) }
        uuid = Array(bytes[8..<24])
        created = Int64(bitPattern: bytes.bigEndian(at: 24, as: UInt64.self))
        length = bytes.count
        let blobs = try VMABlobs(bytes)
        var configurations: [Configuration] = []
        for index in 0..<VMAFormat.tableEntries {
            let namePlace = VMAFormat.configurationNames + 4 * index
            let dataPlace = VMAFormat.configurationData + 4 * index
            let name = bytes.bigEndian(at: namePlace, as: UInt32.self)
            let data = bytes.bigEndian(at: dataPlace, as: UInt32.self)
            if name == 0, data == 0 { continue }
            let text = try blobs.name(name, from: namePlace)
            guard !configurations.contains(where: { $0.name == text }) else {
                throw VMAError("two configurations are called \(text)", at: UInt64(namePlace))
            }
            configurations.append(
                Configuration(name: text, data: try blobs.blob(data, from: dataPlace)))
        }
        self.configurations = configurations
        var devices: [Device] = []
        for number in 0..<VMAFormat.tableEntries {
            let place = VMAFormat.deviceTable + VMAFormat.deviceEntry * number
            let name = bytes.bigEndian(at: place, as: UInt32.self)
            let length = bytes.bigEndian(at: place + 8, as: UInt64.self)
            if name == 0, length == 0 { continue }
            let at = UInt64(place)
            guard VMAFormat.devices.contains(number) else {
                throw VMAError("no disk may have the number \(number)", at: at)
            }
            guard length > 0, length <= VMAFormat.largestDevice, length % 512 == 0 else {
                throw VMAError("no disk can be \(length) bytes long", at: at + 8)
            }
            let text = try blobs.name(name, from: place)
            guard !devices.contains(where: { $0.name == text }) else {
                throw VMAError("two disks are called \(text)", at: at)
            }
            devices.append(Device(number: number, name: text, length: length))
        }
        self.devices = devices
    }

    // MARK: Writing

    /// The header's bytes, its checksum in place.
    ///
    /// - Throws: `Failure` where a configuration, or all of them, are too long for the format.
    func encoded() throws -> [UInt8] {
        var blobs: [UInt8] = [0]
        func blob(_ bytes: [UInt8]) throws -> UInt32 {
            guard bytes.count <= VMAFormat.largestBlob else {
                throw Failure(
                    .failed, "a configuration of \(bytes.count) bytes has no room in a VMA archive",
                    hint: "at most \(VMAFormat.largestBlob) bytes fit: shorten the description")
            }
            let place = UInt32(blobs.count)
            blobs += [UInt8(bytes.count & 255), UInt8(bytes.count >> 8)] + bytes
            return place
        }
        var fixed = [UInt8](repeating: 0, count: VMAFormat.fixedHeader)
        func put(_ value: some FixedWidthInteger, at place: Int) {
            withUnsafeBytes(of: value.bigEndian) {
                fixed.replaceSubrange(place..<(place + $0.count), with: $0)
            }
        }
        fixed.replaceSubrange(0..<4, with: VMAFormat.magic)
        put(UInt32(1), at: 4)
        fixed.replaceSubrange(8..<24, with: uuid)
        put(created, at: 24)
        for (index, configuration) in configurations.enumerated() {
            put(
                try blob(Array(configuration.name.utf8) + [0]),
                at: VMAFormat.configurationNames + 4 * index)
            put(try blob(configuration.data), at: VMAFormat.configurationData + 4 * index)
        }
        for device in devices {
            let place = VMAFormat.deviceTable + VMAFormat.deviceEntry * device.number
            put(try blob(Array(device.name.utf8) + [0]), at: place)
            put(device.length, at: place + 8)
        }
        let length = VMAFormat.fixedHeader + (blobs.count + 511) / 512 * 512
        put(UInt32(VMAFormat.fixedHeader), at: 48)
        put(UInt32(blobs.count), at: 52)
        put(UInt32(length), at: 56)
        var header = fixed + blobs
        header += [UInt8](repeating: 0, count: length - header.count)
        let sum = header.withUnsafeBytes { VMAFormat.sum($0, sumAt: 32) }
        header.replaceSubrange(32..<48, with: sum)
        return header
    }
}

/// The area of a header in which names and configurations lie.
private struct VMABlobs {
    let header: UnsafeRawBufferPointer
    let start: Int
    let count: Int

    init(_ header: UnsafeRawBufferPointer) throws(VMAError) {
        self.header = header
        start = Int(header.bigEndian(at: 48, as: UInt32.self))
        count = Int(header.bigEndian(at: 52, as: UInt32.self))
        guard start >= VMAFormat.fixedHeader, start <= header.count else {
            throw VMAError("its names cannot begin at \(start)", at: 48)
        }
        guard count <= header.count - start else {
            throw VMAError("its names cannot be \(count) bytes long", at: 52)
        }
    }

    /// - Parameter place: Where the pointer stands, for the error.
    func blob(_ pointer: UInt32, from place: Int) throws(VMAError) -> [UInt8] {
        let offset = Int(pointer)
        guard offset > 0, offset + 2 <= count else {
            throw VMAError("a pointer leads out of the header", at: UInt64(place))
        }
        let at = start + offset
        let length = Int(header[at]) | Int(header[at + 1]) << 8
        guard offset + 2 + length <= count else {
            throw VMAError("a pointer leads out of the header", at: UInt64(place))
        }
        return Array(header[(at + 2)..<(at + 2 + length)])
    }

    /// A name that can also be that of a file.
    func name(_ pointer: UInt32, from place: Int) throws(VMAError) -> String {
        let bytes = try blob(pointer, from: place)
        let text = bytes.dropLast()
        let isPlain = text.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || byte == 45 || byte == 46 || byte == 95
        }
        guard bytes.last == 0, !text.isEmpty, text.count <= 200, isPlain, text.first != 46 else {
            throw VMAError("\(printable(bytes)) is not a name", at: UInt64(place))
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension UnsafeRawBufferPointer {
    /// A big-endian number.
    func bigEndian<Number: FixedWidthInteger & BitwiseCopyable>(
        at offset: Int, as type: Number.Type
    ) -> Number {
        Number(bigEndian: loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
}
