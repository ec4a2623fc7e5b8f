import Engine
public import FoundationEssentials
public import Model

/// Objects of a bucket of an S3-compatible store.
///
/// An object is stored by one PUT, whatever its size: packs have 32 MiB, and what S3 takes in one
/// request is a hundred times that. So there are no parts that a crash could leave, and nothing to
/// sweep. Every PUT is signed with the hash of its bytes and asked for afterwards: a store that says
/// it has what it has not is found out before anybody counts on it. Nothing is asked for that some
/// stores lack: no conditional PUT, no copying, no versions.
///
/// What may pass is tried again until the deadline.
public final class S3Store: ObjectStore {
    let address: S3Address
    let calls: S3Calls
    let retries: StoreRetries
    let retention: S3Retention?

    /// - Throws: `Failure` with code `usage` where address and options do not go together.
    public init(_ address: S3Address, credentials: S3Credentials, options: S3Options = S3Options())
        throws
    {
        self.address = address
        calls = try S3Calls(address, credentials: credentials, options: options)
        retries = StoreRetries(place: address.description, deadline: options.deadline)
        retention = options.retention
    }

    public var place: String { address.description }
    public var isRemote: Bool { true }

    func path(_ key: String) -> String {
        address.prefix.isEmpty ? key : "\(address.prefix)/\(key)"
    }

    // MARK: Objects

    public func put(_ key: ObjectKey, _ parts: [Data]) async throws {
        let body = S3Body(parts)
        let path = path(key.path)
        try await retries.call { attempt, left in
            let answer: HTTPResponse
            // By the clock of each try: an old request must not lock for less.
            let lock = retention?.headers(for: key, at: calls.clock) ?? []
            do {
                answer = try await calls.send(
                    S3Call(.put, path, headers: lock, body: body), within: left)
            } catch let failure as Failure where failure.code == .failed && attempt > 0 {
                // The answer to an earlier try was lost, and what is there may not be replaced.
                guard !failure.isTransient, try await size(path, within: left) == body.length
                else { throw failure }
                return
            }
            try await confirm(
                path, body, entityTag: answer.header("etag"), attempt: attempt, within: left)
        }
    }

    /// Asks the store for what it has just said it took.
    private func confirm(
        _ path: String, _ body: S3Body, entityTag: String?, attempt: Int, within left: TimeSpan
    ) async throws {
        let answer = try await calls.send(S3Call(.head, path), within: left, accepting: [404])
        let size = answer.header("content-length").flatMap { UInt64($0) }
        let tag = answer.header("etag")
        guard answer.status != 404, size == body.length,
            tag == nil || entityTag == nil || tag == entityTag
        else {
            let failure = Failure(
                .failed, "\(place) says that it has stored \(path), and has not",
                hint: "the store is not to be trusted: look at its own log and disks",
                side: .repository)
            // Once may be an accident.
            if attempt < Self.liesForgiven { throw Hesitation(failure: failure) }
            throw failure
        }
    }

    private static let liesForgiven = 2

    public func get(_ key: ObjectKey, _ range: ObjectRange) async throws -> Data {
        guard let wanted = S3Range(range) else {
            guard try await size(key) != nil else { throw ObjectMissing(key) }
            return Data()
        }
        let path = path(key.path)
        return try await retries.call { _, left in
            let collected = CollectedBytes(atMost: wanted.longest)
            let answer = try await calls.send(
                S3Call(.get, path, headers: wanted.headers), within: left,
                accepting: [404, 416], receive: collected.append)
            if answer.status == 404 {
                try calls.refuseMissingBucket(answer)
                throw ObjectMissing(key)
            }
            // Nothing of the object lies in the range.
            if answer.status == 416 { return Data() }
            return try wanted.checked(collected.take(), of: answer, path)
        }
    }

    public func size(_ key: ObjectKey) async throws -> UInt64? {
        let path = path(key.path)
        return try await retries.call { _, left in try await size(path, within: left) }
    }

    private func size(_ path: String, within left: TimeSpan) async throws -> UInt64? {
        let answer = try await calls.send(S3Call(.head, path), within: left, accepting: [404])
        if answer.status == 404 { return nil }
        guard let size = answer.header("content-length").flatMap({ UInt64($0) }) else {
            throw Hesitation(
                failure: Failure(
                    .failed, "it does not say how large \(path) is", side: .repository))
        }
        return size
    }

    public func delete(_ key: ObjectKey) async throws {
        let path = path(key.path)
        try await retries.call { _, left in
            _ = try await calls.send(S3Call(.delete, path), within: left, accepting: [404])
        }
    }

    // MARK: Listings

    public func list(_ prefix: String) async throws -> [StoredObject] {
        let start = path(prefix.isEmpty ? "" : prefix + "/")
        let root = path("").utf8.count
        var found: [StoredObject] = []
        var token: String?
        repeat {
            let page = try await page(start, after: token)
            for entry in page.entries where entry.key.hasPrefix(start) {
                // What somebody else put there is none of ours.
                let name = String(decoding: entry.key.utf8.dropFirst(root), as: UTF8.self)
                if let key = ObjectKey(validating: name) {
                    found.append(
                        StoredObject(key: key, size: entry.size, stored: entry.modified))
                }
            }
            token = page.isTruncated ? page.next : nil
        } while token != nil
        return found
    }

    public func foreignNames() async throws -> [String] {
        let start = path("")
        let page = try await page(start, folded: true)
        let names = (page.entries.map(\.key) + page.folders).compactMap { key -> String? in
            guard key.hasPrefix(start) else { return nil }
            return key.dropFirst(start.count).split(separator: "/").first.map(String.init)
        }
        return Array(Set(names).subtracting(StorePlace.ownNames).sorted().prefix(3))
    }

    /// One page of the names that begin with `start`.
    ///
    /// - Parameter folded: Only up to the next slash.
    private func page(
        _ start: String, after token: String? = nil, folded: Bool = false
    ) async throws -> S3Listing {
        var query = [(name: "list-type", value: "2"), (name: "prefix", value: start)]
        if let token { query.append((name: "continuation-token", value: token)) }
        if folded { query.append((name: "delimiter", value: "/")) }
        let call = S3Call(.get, nil, query: query)
        return try await retries.call { _, left in
            let answer = try await calls.send(call, within: left, accepting: [404])
            if answer.status == 404 {
                try calls.refuseMissingBucket(answer)
                throw calls.failure(answer, call)
            }
            let page = S3Listing(answer.body)
            guard let page, !page.isTruncated || (page.next ?? token) != token else {
                throw Hesitation(
                    failure: Failure(
                        .failed, "its answer is no whole listing", side: .repository))
            }
            return page
        }
    }

    // MARK: The store itself

    /// Makes the bucket, where there is none.
    public func prepare() async throws {
        let call = S3Call(.head, nil)
        let status = try await retries.call { _, left in
            try await calls.send(call, within: left, accepting: [403, 404]).status
        }
        // Who may not look may still write.
        guard status == 404 else { return }
        try await retries.call { _, left in
            let answer = try await calls.send(
                S3Call(
                    .put, nil,
                    headers: retention == nil
                        ? [] : [HTTPHeader("x-amz-bucket-object-lock-enabled", "true")],
                    body: calls.bucketDescription), within: left, accepting: [409])
            let code = S3Refusal(answer.body).code
            guard answer.isSuccess || code == "BucketAlreadyOwnedByYou" else {
                throw calls.failure(answer, call)
            }
        }
    }

    public func now() async throws -> Timestamp {
        // Whether it is there does not matter: every answer has a date.
        let path = path("config")
        let answer = try await retries.call { _, left in
            try await calls.send(S3Call(.head, path), within: left, accepting: [403, 404])
        }
        return answer.header("date").flatMap { S3Calls.moment($0) }
            ?? SystemTimepiece().wall
    }
}

/// A range as HTTP has it.
private struct S3Range {
    var headers: [HTTPHeader] = []
    /// Most bytes that an answer may have.
    var longest: Int
    private var range: ObjectRange

    /// Objects that are read as a whole are small, or packs.
    private static let longestWhole = 300 << 20

    /// nil for one that holds nothing, which HTTP cannot say.
    init?(_ range: ObjectRange) {
        self.range = range
        switch range {
        case .whole: longest = Self.longestWhole
        case .bytes(let offset, let length):
            guard length > 0, offset < UInt64(Int64.max) else { return nil }
            let last = offset.addingReportingOverflow(UInt64(length) - 1)
            let end = last.overflow ? UInt64(Int64.max) : min(last.partialValue, UInt64(Int64.max))
            headers = [HTTPHeader("Range", "bytes=\(offset)-\(end)")]
            longest = min(length, Self.longestWhole)
        case .suffix(let length):
            guard length > 0 else { return nil }
            headers = [HTTPHeader("Range", "bytes=-\(length)")]
            longest = min(length, Self.longestWhole)
        }
    }

    /// The bytes, when the answer is what was asked for.
    func checked(_ bytes: Data, of answer: HTTPResponse, _ path: String) throws -> Data {
        let declared = answer.header("content-length").flatMap { Int($0) } ?? bytes.count
        var isRight = declared == bytes.count
        if answer.status == 206 {
            let place = answer.header("content-range").flatMap(Self.place)
            isRight = isRight && place.map { fits($0, bytes.count) } ?? false
        } else if case .bytes(let offset, _) = range, offset > 0 {
            // It sent the object from its beginning.
            isRight = false
        }
        guard isRight else {
            throw Hesitation(
                failure: Failure(
                    .failed, "it answers with other bytes of \(path) than were asked for",
                    side: .repository))
        }
        return bytes
    }

    private func fits(_ place: (first: UInt64, last: UInt64, size: UInt64), _ count: Int) -> Bool {
        guard place.first <= place.last, place.last < place.size,
            place.last - place.first + 1 == UInt64(count)
        else { return false }
        switch range {
        case .whole: return place.first == 0 && place.last + 1 == place.size
        case .bytes(let offset, let length):
            return place.first == offset
                && (count == length || place.last + 1 == place.size)
        case .suffix(let length):
            return place.last + 1 == place.size && (count == length || place.first == 0)
        }
    }

    /// `bytes 10-19/200`.
    private static func place(_ text: String) -> (first: UInt64, last: UInt64, size: UInt64)? {
        let numbers = text.split { " -/".contains($0) }.dropFirst().compactMap { UInt64($0) }
        return numbers.count == 3 ? (numbers[0], numbers[1], numbers[2]) : nil
    }
}
