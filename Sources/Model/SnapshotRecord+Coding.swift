// The JSON of a snapshot record, the same in the repository (sealed) and in the catalog. Keys that
// are not known are ignored; lists that are missing are empty, so that a later version can add some.

extension ChunkReference: Codable, CustomStringConvertible {
    /// `id:length`, the id in hexadecimal; `0:length` for a run of zeros.
    public var description: String { isZeros ? "0:\(length)" : "\(id):\(length)" }

    /// Parses what `description` gives.
    public init?(_ text: String) {
        let pieces = text.split(separator: ":", omittingEmptySubsequences: false)
        guard pieces.count == 2, let length = UInt64(pieces[1]) else { return nil }
        if pieces[0] == "0" {
            self = .zeros(length)
        } else if let id = ChunkID(pieces[0]) {
            self.init(id: id, length: length)
        } else {
            return nil
        }
        guard isPlausible else { return nil }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let parsed = ChunkReference(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "not a chunk reference")
        }
        self = parsed
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension ContentReference: Codable {
    private enum Key: String, CodingKey { case length, depth, references }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        self.init(
            length: try container.decode(UInt64.self, forKey: .length),
            depth: try container.decodeIfPresent(UInt8.self, forKey: .depth) ?? 0,
            references: try container.decodeIfPresent([ChunkReference].self, forKey: .references)
                ?? [])
        guard length <= Self.maximumLength, depth <= Self.maximumDepth,
            references.count <= Self.maximumReferences
        else {
            throw DecodingError.dataCorruptedError(
                forKey: .references, in: container, debugDescription: "not a content's")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(length, forKey: .length)
        if depth != 0 { try container.encode(depth, forKey: .depth) }
        if !references.isEmpty { try container.encode(references, forKey: .references) }
    }
}

extension SnapshotPart: Codable {
    private enum Key: String, CodingKey { case name, kind, content, bytes, entries, attributes }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        self.init(
            name: try container.decode(String.self, forKey: .name),
            kind: try container.decode(PartKind.self, forKey: .kind),
            content: try container.decode(ContentReference.self, forKey: .content),
            bytes: try container.decode(ByteCount.self, forKey: .bytes),
            entries: try container.decodeIfPresent(UInt64.self, forKey: .entries) ?? 1,
            attributes: try container.decodeIfPresent([String: String].self, forKey: .attributes)
                ?? [:])
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(name, forKey: .name)
        try container.encode(kind, forKey: .kind)
        try container.encode(content, forKey: .content)
        try container.encode(bytes, forKey: .bytes)
        if entries != 1 { try container.encode(entries, forKey: .entries) }
        if !attributes.isEmpty { try container.encode(attributes, forKey: .attributes) }
    }
}

extension SnapshotRecord: Codable {
    private enum Key: String, CodingKey {
        case id, workload, service, kind, host, run, asOf, finished, consistency, suspicions,
            omissions, notes, parts, proof, statistics, tags, version
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        func list<Element: Decodable>(_ key: Key) throws -> [Element] {
            try container.decodeIfPresent([Element].self, forKey: key) ?? []
        }
        self.init(
            id: try container.decode(SnapshotID.self, forKey: .id),
            workload: try container.decode(WorkloadID.self, forKey: .workload),
            service: try container.decode(ServiceName.self, forKey: .service),
            kind: try container.decode(WorkloadKind.self, forKey: .kind),
            host: try container.decode(String.self, forKey: .host),
            run: try container.decode(RunID.self, forKey: .run),
            asOf: try container.decode(Timestamp.self, forKey: .asOf))
        finished = try container.decode(Timestamp.self, forKey: .finished)
        consistency = try container.decode(Consistency.self, forKey: .consistency)
        suspicions = try list(.suspicions)
        omissions = try list(.omissions)
        notes = try list(.notes)
        parts = try list(.parts)
        proof = try container.decodeIfPresent(Proof.self, forKey: .proof) ?? Proof()
        statistics =
            try container.decodeIfPresent(CaptureStatistics.self, forKey: .statistics)
            ?? CaptureStatistics()
        tags = try list(.tags)
        version = try container.decodeIfPresent(String.self, forKey: .version) ?? ""
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        func list(_ elements: [some Encodable], _ key: Key) throws {
            if !elements.isEmpty { try container.encode(elements, forKey: key) }
        }
        try container.encode(id, forKey: .id)
        try container.encode(workload, forKey: .workload)
        try container.encode(service, forKey: .service)
        try container.encode(kind, forKey: .kind)
        try container.encode(host, forKey: .host)
        try container.encode(run, forKey: .run)
        try container.encode(asOf, forKey: .asOf)
        try container.encode(finished, forKey: .finished)
        try container.encode(consistency, forKey: .consistency)
        try list(suspicions, .suspicions)
        try list(omissions, .omissions)
        try list(notes, .notes)
        try container.encode(parts, forKey: .parts)
        try container.encode(proof, forKey: .proof)
        try container.encode(statistics, forKey: .statistics)
        try list(tags, .tags)
        try container.encode(version, forKey: .version)
    }
}
