import Crypto
import Engine
import FoundationEssentials
import Model
import Synchronization

/// What an object is stored from: parts in memory that is the caller's until the call returns.
struct S3Body: Sendable {
    let parts: [Data]
    let length: UInt64
    /// SHA-256, as a signature and as a checksum write it.
    let hash: String
    let checksum: String

    init(_ parts: [Data]) {
        self.parts = parts.filter { !$0.isEmpty }
        length = self.parts.reduce(0) { $0 + UInt64($1.count) }
        var hasher = SHA256()
        for part in self.parts { hasher.update(data: part) }
        let digest = hasher.finalize()
        hash = Hexadecimal.encode(digest)
        checksum = Data(digest).base64EncodedString()
    }

    /// Copies from an offset on; as much as there is and fits.
    func read(_ offset: UInt64, into space: UnsafeMutableRawBufferPointer) -> Int {
        var skip = offset
        var filled = 0
        for part in parts where filled < space.count {
            if skip >= UInt64(part.count) {
                skip -= UInt64(part.count)
                continue
            }
            let count = min(part.count - Int(skip), space.count - filled)
            let start = Int(skip)
            let place = UnsafeMutableRawBufferPointer(rebasing: space[filled...])
            part.withUnsafeBytes {
                place.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: $0[start..<(start + count)]))
            }
            filled += count
            skip = 0
        }
        return filled
    }
}

/// One request, before it is signed.
struct S3Call: Sendable {
    var method: HTTPRequest.Method
    /// The object's name in the bucket; nil for the bucket.
    var path: String?
    var query: [(name: String, value: String)]
    var headers: [HTTPHeader]
    var body: S3Body?

    init(
        _ method: HTTPRequest.Method, _ path: String?,
        query: [(name: String, value: String)] = [], headers: [HTTPHeader] = [],
        body: S3Body? = nil
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
    }
}

extension S3Call {
    /// Whether it asks for a lock.
    fileprivate var isLocking: Bool {
        headers.contains { $0.name.hasPrefix("x-amz-object-lock") }
            || query.contains { $0.name == "retention" }
    }
}

/// Signs requests, sends them once, and says what became of them.
final class S3Calls: Sendable {
    private let client: HTTPClient
    private let options: S3Options
    private let endpoint: S3Endpoint
    private let bucket: String
    private let isVirtual: Bool
    private let uploads: RateLimit?
    private let downloads: RateLimit?
    private let state: Mutex<State>

    private struct State {
        var signer: S3Signer
        /// What this machine's clock must be put forward by to be the store's, in seconds.
        var clockOffset: Int64 = 0
    }

    /// Bytes a second below which a transfer is as good as none: three packs at once still come
    /// through a line of half a megabit. What stands still is ended much earlier.
    private static let slowest = 16 << 10
    private static let listingLimit = 32 << 20

    init(_ address: S3Address, credentials: S3Credentials, options: S3Options) throws {
        let region =
            options.region ?? (options.endpoint ?? address.endpoint)?.region ?? "us-east-1"
        do {
            endpoint =
                try options.endpoint ?? address.endpoint ?? S3Endpoint.amazon(region: region)
        } catch {
            throw Failure(.usage, "the region \(printable(region.utf8)) cannot be part of a name")
        }
        self.options = options
        bucket = address.bucket
        isVirtual =
            switch options.style {
            // A dot in the bucket's name would not fit the certificate.
            case .automatic: endpoint.isAmazon && !bucket.contains(".")
            case .path: false
            case .virtual: true
            }
        let connections = max(1, options.connections)
        // Threads of its own: those that wait for a store must not keep others from working.
        client = HTTPClient(pool: BlockingPool(limit: connections), idleLanes: connections)
        uploads = options.uploadRate.map(RateLimit.init)
        downloads = options.downloadRate.map(RateLimit.init)
        state = Mutex(State(signer: S3Signer(credentials: credentials, region: region)))
    }

    /// The store's clock, as far as it is known.
    var clock: Timestamp { Self.wall(state.withLock { $0.clockOffset }) }

    private static func wall(_ offset: Int64) -> Timestamp {
        SystemTimepiece().wall + TimeSpan(nanoseconds: offset * 1_000_000_000)
    }

    /// What a bucket is made with: where, unless it is where it would be anyway.
    var bucketDescription: S3Body {
        let region = state.withLock { $0.signer.region }
        guard endpoint.isAmazon, region != "us-east-1" else { return S3Body([]) }
        let text =
            "<CreateBucketConfiguration><LocationConstraint>\(region)</LocationConstraint>"
            + "</CreateBucketConfiguration>"
        return S3Body([Data(text.utf8)])
    }

    /// Sends a request once.
    ///
    /// - Parameters:
    ///   - left: Longest time, besides what the bytes take.
    ///   - accepted: Statuses besides those of success that the caller understands.
    /// - Throws: ``Hesitation`` for what may pass, else `Failure`.
    func send(
        _ call: S3Call, within left: TimeSpan, accepting accepted: Set<Int> = [],
        receive: (@Sendable (UnsafeRawBufferPointer) throws -> Void)? = nil
    ) async throws -> HTTPResponse {
        let signing = state.withLock { $0 }
        let request = request(call, signing, within: left)
        let response: HTTPResponse
        do {
            if let receive {
                let downloads = downloads
                response = try await client.send(request) { bytes in
                    downloads?.take(bytes.count)
                    try receive(bytes)
                }
            } else {
                response = try await client.send(request)
            }
        } catch var failure as Failure {
            failure.side = .repository
            if failure.cause?.contains("certificate") == true {
                failure.isTransient = false
                failure.hint =
                    "name the certificate that signed the store's with ca_file, or look at its name"
            }
            throw failure
        }
        if response.isSuccess || accepted.contains(response.status) { return response }
        throw trouble(response, call, signing)
    }

    private func request(_ call: S3Call, _ signing: State, within left: TimeSpan) -> HTTPRequest {
        let signer = signing.signer
        let host = isVirtual ? "\(bucket).\(endpoint.authority)" : endpoint.authority
        var path = isVirtual ? "/" : "/\(S3Signer.encoded(bucket))"
        if let object = call.path {
            path += (isVirtual ? "" : "/") + S3Signer.encoded(object, keeping: [UInt8(ascii: "/")])
        }
        let query = S3Signer.query(call.query)
        var request = HTTPRequest(
            call.method, "\(endpoint.scheme)://\(host)\(path)" + (query.isEmpty ? "" : "?\(query)"))
        var headers = call.headers
        if let body = call.body, body.length > 0 {
            headers.append(HTTPHeader("x-amz-checksum-sha256", body.checksum))
            let uploads = uploads
            request.body = .replayable(length: body.length) { offset, space in
                var space = space
                // In small steps, so that other uploads have their turn.
                if uploads != nil, space.count > 64 << 10 {
                    space = UnsafeMutableRawBufferPointer(rebasing: space[..<(64 << 10)])
                }
                let count = body.read(offset, into: space)
                uploads?.take(count)
                return count
            }
        }
        let wall = Self.wall(signing.clockOffset)
        request.headers =
            headers
            + signer.headers(
                method: call.method.rawValue, host: host, path: path, query: query,
                headers: headers, payloadHash: call.body?.hash ?? S3Signer.emptyHash, at: wall)
        request.certificateAuthorities = options.certificateAuthorities
        request.connectTimeout = min(TimeSpan(seconds: 10), left)
        request.idleTimeout = min(TimeSpan(seconds: 30), left)
        request.totalTimeout = left + allowance(call)
        request.maximumBody = Self.listingLimit
        return request
    }

    /// What the bytes of a call may take besides.
    private func allowance(_ call: S3Call) -> TimeSpan {
        let count = call.body?.length ?? UInt64(call.method == .get ? 32 << 20 : 0)
        let rate = call.body == nil ? options.downloadRate : options.uploadRate
        let share = rate.map { Double($0.bytes) / Double(max(1, options.connections)) }
        let slowest = max(1024, min(Double(Self.slowest), share ?? .infinity))
        return TimeSpan(seconds: Double(count) / slowest)
    }

    // MARK: Answers

    /// What an answer that is no success comes to.
    private func trouble(
        _ answer: HTTPResponse, _ call: S3Call, _ signing: State
    ) -> any Error {
        let refusal = S3Refusal(answer.body)
        let failure = failure(answer, call)
        func hesitate(_ seconds: Double = 0) -> Hesitation {
            var failure = failure
            failure.isTransient = true
            return Hesitation(failure: failure, wait: TimeSpan(seconds: seconds))
        }
        if let region = refusal.region ?? answer.header("x-amz-bucket-region"), answer.status < 500,
            learn(region: region, signing)
        {
            return hesitate()
        }
        switch refusal.code {
        case "RequestTimeTooSkewed":
            return learnClock(answer, signing) ? hesitate() : failure
        case "" where answer.status == 403 && call.method == .head:
            // Refused without a word, as answers to HEAD are: perhaps it is the clock.
            return learnClock(answer, signing, apartBy: 600) ? hesitate() : failure
        case "SlowDown", "RequestLimitExceeded", "TooManyRequests", "ThrottlingException":
            return hesitate(retryAfter(answer) ?? 1)
        case "RequestTimeout", "OperationAborted", "BadDigest", "XAmzContentSHA256Mismatch",
            "IncompleteBody", "InternalError":
            return hesitate()
        case "XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "StorageFull":
            return failure
        default: break
        }
        switch answer.status {
        case 408, 500, 502, 504: return hesitate()
        case 429, 503: return hesitate(retryAfter(answer) ?? 1)
        default: return failure
        }
    }

    private func retryAfter(_ answer: HTTPResponse) -> Double? {
        answer.header("retry-after").flatMap { Double($0) }.map { min(max(0, $0), 60) }
    }

    /// Signs for another region from now on; false when the request was signed for it already.
    private func learn(region: String, _ signing: State) -> Bool {
        state.withLock {
            guard signing.signer.region != region, options.region == nil else { return false }
            $0.signer.region = region
            return true
        }
    }

    /// Signs by the store's clock from now on; false when the request was signed by it already.
    ///
    /// - Parameter least: How many seconds apart the clocks must be.
    private func learnClock(
        _ answer: HTTPResponse, _ signing: State, apartBy least: Int64 = 60
    ) -> Bool {
        guard let date = answer.header("date").flatMap({ Self.moment($0) }) else { return false }
        let offset = date.wholeSeconds - SystemTimepiece().wall.wholeSeconds
        guard abs(signing.clockOffset - offset) > least else { return false }
        state.withLock { $0.clockOffset = offset }
        return true
    }

    /// Throws when there is no bucket at all.
    func refuseMissingBucket(_ answer: HTTPResponse) throws {
        guard S3Refusal(answer.body).code == "NoSuchBucket" else { return }
        throw Failure(
            .noRepository, "there is no bucket \(bucket) at \(endpoint)",
            hint: "run 'dr init', which makes it, or correct 'repository' in the configuration",
            side: .repository)
    }

    /// An answer as a person sees it.
    func failure(_ answer: HTTPResponse, _ call: S3Call) -> Failure {
        let refusal = S3Refusal(answer.body)
        let what = [call.method.rawValue, call.path ?? "of the bucket"].joined(separator: " ")
        let said =
            refusal.code.isEmpty
            ? "status \(answer.status)"
            : [refusal.code, refusal.message].filter { !$0.isEmpty }.joined(separator: ": ")
        var failure = Failure(
            .failed, "\(endpoint) refuses \(what)", cause: printable(said.utf8), side: .repository)
        let isFull = ["XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "StorageFull"]
            .contains(refusal.code)
        if answer.status == 507 || isFull {
            failure.code = .noSpace
            failure.hint = "give the store more room, or run dr prune; then run it again"
        } else if ["InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"]
            .contains(refusal.code)
        {
            failure.hint =
                "look at the access key and the secret key: credentials_file, or"
                + " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        } else if call.method == .put, call.isLocking {
            failure.hint =
                "retain_for needs a bucket that was made with object lock, and the right to use it:"
                + " s3:PutObjectRetention"
        } else if answer.status == 403 {
            failure.hint = "give these credentials the right to do that in bucket \(bucket)"
        } else if (300..<400).contains(answer.status) {
            failure.hint = "name the bucket's own endpoint and region"
        }
        return failure
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`.
    static func moment(_ text: String) -> Timestamp? {
        let words = text.split(separator: " ").map(String.init)
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        guard words.count >= 5, let month = months.firstIndex(of: words[2]) else { return nil }
        func two(_ text: String) -> String { text.count == 1 ? "0\(text)" : text }
        return Timestamp(
            rfc3339: "\(words[3])-\(two(String(month + 1)))-\(two(words[1]))T\(words[4])Z")
    }
}

/// Bytes of an answer as they come.
final class CollectedBytes: Sendable {
    private let bytes = Mutex(Data())
    private let limit: Int

    init(atMost limit: Int) { self.limit = limit }

    @Sendable func append(_ slice: UnsafeRawBufferPointer) throws {
        try bytes.withLock { bytes in
            guard bytes.count + slice.count <= limit else {
                throw Failure(
                    .failed, "it answers with more bytes than were asked for", side: .repository)
            }
            // Room for all of it at once, so that it is not copied while it grows.
            if bytes.isEmpty { bytes.reserveCapacity(min(limit, 8 << 20)) }
            bytes.append(contentsOf: slice)
        }
    }

    func take() -> Data {
        bytes.withLock { bytes in
            defer { bytes = Data() }
            return bytes
        }
    }
}
