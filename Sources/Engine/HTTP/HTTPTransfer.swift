import CLinux
import CCurl
import Glibc
import Model

/// One request on its way; made, run and dropped on one thread.
final class HTTPTransfer {
    private let request: HTTPRequest
    private let interrupt: Interrupt
    private let receive: (@Sendable (UnsafeRawBufferPointer) throws -> Void)?
    private var response = HTTPResponse(status: 0, headers: [], body: [])
    /// What a callback threw; it ends the transfer and outranks libcurl's own account of that.
    private var thrown: (any Error)?
    private var lastActivity = ContinuousClock.now
    private var remaining: UInt64?
    /// How far a body that can be replayed has been sent.
    private var position: UInt64 = 0
    private var errorText = [CChar](repeating: 0, count: Int(CURL_ERROR_SIZE))

    init(
        _ request: HTTPRequest, interrupt: Interrupt,
        receive: (@Sendable (UnsafeRawBufferPointer) throws -> Void)?
    ) {
        self.request = request
        self.interrupt = interrupt
        self.receive = receive
    }

    func run(on lane: HTTPLane) throws -> HTTPResponse {
        if case .bytes(let bytes) = request.body {
            return try bytes.withUnsafeBytes { try run(on: lane, posting: $0) }
        }
        return try run(on: lane, posting: nil)
    }

    private func run(
        on lane: HTTPLane, posting bytes: UnsafeRawBufferPointer?
    ) throws -> HTTPResponse {
        var list: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(list) }
        var detours: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(detours) }
        // Without these libcurl would wait a second before it sends a long body, and name a type.
        let defaults = [HTTPHeader("Expect", ""), HTTPHeader("Content-Type", "")]
        let names = Set(request.headers.map { $0.name.lowercased() })
        for header in request.headers + defaults.filter({ !names.contains($0.name.lowercased()) }) {
            let line = header.value.isEmpty ? "\(header.name):" : "\(header.name): \(header.value)"
            guard !line.utf8.contains(where: { $0 == 10 || $0 == 13 || $0 == 0 }) else {
                throw Failure(.usage, "header \(header.name) holds a line break")
            }
            guard let longer = curl_slist_append(list, line) else { throw outOfMemory }
            list = longer
        }
        for rule in request.through?.rules ?? [] {
            guard let longer = curl_slist_append(detours, rule) else { throw outOfMemory }
            detours = longer
        }
        curl_easy_reset(lane.easy)
        // What libcurl points at must outlive the transfer and stay where it is.
        return try errorText.withUnsafeMutableBufferPointer { text in
            let context = Unmanaged.passUnretained(self).toOpaque()
            try configure(lane.easy, context, list, detours, bytes)
            _ = dr_curl_set_pointer(lane.easy, CURLOPT_ERRORBUFFER, text.baseAddress)
            defer { _ = dr_curl_set_pointer(lane.easy, CURLOPT_ERRORBUFFER, nil) }
            guard curl_multi_add_handle(lane.multi, lane.easy) == CURLM_OK else {
                throw outOfMemory
            }
            defer { curl_multi_remove_handle(lane.multi, lane.easy) }
            let code = try drive(lane)
            if let thrown { throw thrown }
            if code != CURLE_OK {
                let detail = text.first == 0 ? nil : text.baseAddress.map { String(cString: $0) }
                throw failure(code, detail ?? String(cString: curl_easy_strerror(code)))
            }
            var status = 0
            _ = dr_curl_get_long(lane.easy, CURLINFO_RESPONSE_CODE, &status)
            response.status = status
            return response
        }
    }

    /// Lets libcurl work until the transfer has ended, is cancelled, or stands still for too long.
    private func drive(_ lane: HTTPLane) throws -> CURLcode {
        while true {
            var running: Int32 = 0
            let code = curl_multi_perform(lane.multi, &running)
            guard code == CURLM_OK else {
                throw Failure(
                    .failed, "\(request.place): \(String(cString: curl_multi_strerror(code)))")
            }
            var left: Int32 = 0
            while let message = curl_multi_info_read(lane.multi, &left) {
                if message.pointee.msg == CURLMSG_DONE { return message.pointee.data.result }
            }
            if interrupt.isRaised { throw CancellationError() }
            var wait: Int32 = 1000
            if let limit = request.idleTimeout {
                let left = limit.duration - (ContinuousClock.now - lastActivity)
                if left <= .zero {
                    throw Failure(
                        .failed, "\(request.place) has sent nothing for \(limit)", isTransient: true
                    )
                }
                wait = Int32(max(1, min(1000, TimeSpan(left).seconds * 1000)))
            }
            var cancelled = curl_waitfd(
                fd: interrupt.descriptor, events: Int16(CURL_WAIT_POLLIN), revents: 0)
            curl_multi_poll(lane.multi, &cancelled, 1, wait, nil)
        }
    }

    private func configure(
        _ easy: UnsafeMutableRawPointer, _ context: UnsafeMutableRawPointer,
        _ headers: UnsafeMutablePointer<curl_slist>?, _ detours: UnsafeMutablePointer<curl_slist>?,
        _ bytes: UnsafeRawBufferPointer?
    ) throws {
        var code = CURLE_OK
        func set(_ option: CURLoption, _ value: Int) {
            if code == CURLE_OK { code = dr_curl_set_long(easy, option, value) }
        }
        func set(_ option: CURLoption, _ value: String) {
            if code == CURLE_OK { code = dr_curl_set_string(easy, option, value) }
        }
        func set(_ option: CURLoption, _ function: @escaping dr_curl_data_callback) {
            if code == CURLE_OK { code = dr_curl_set_data_callback(easy, option, function) }
        }
        func postNothing() {
            if code == CURLE_OK { code = dr_curl_set_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, 0) }
            set(CURLOPT_COPYPOSTFIELDS, "")
        }
        func milliseconds(_ span: TimeSpan) -> Int { max(1, Int(span.nanoseconds / 1_000_000)) }

        set(CURLOPT_URL, request.url)
        if code == CURLE_OK { code = dr_curl_allow_http_only(easy) }
        if let socket = request.unixSocket {
            set(CURLOPT_UNIX_SOCKET_PATH, socket)
            set(CURLOPT_PROXY, "")
        }
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(request.connectTimeout))
        if let file = request.certificateAuthorities { set(CURLOPT_CAINFO, file) }
        if let total = request.totalTimeout { set(CURLOPT_TIMEOUT_MS, milliseconds(total)) }
        if request.maximumRedirects > 0 {
            set(CURLOPT_FOLLOWLOCATION, 1)
            set(CURLOPT_MAXREDIRS, request.maximumRedirects)
        }
        if receive != nil { set(CURLOPT_BUFFERSIZE, 512 << 10) }

        set(CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
            HTTPTransfer.from(context)?.header(bytes, size * count) ?? 0
        }
        set(CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            HTTPTransfer.from(context)?.body(bytes, size * count) ?? 0
        }
        set(CURLOPT_READFUNCTION) { bytes, size, count, context in
            HTTPTransfer.from(context)?.fill(bytes, size * count) ?? Int(CURL_READFUNC_ABORT)
        }
        for option in [CURLOPT_HEADERDATA, CURLOPT_WRITEDATA, CURLOPT_READDATA]
        where code == CURLE_OK {
            code = dr_curl_set_pointer(easy, option, context)
        }
        if code == CURLE_OK { code = dr_curl_set_list(easy, CURLOPT_HTTPHEADER, headers) }
        if let detours {
            if code == CURLE_OK { code = dr_curl_set_list(easy, CURLOPT_CONNECT_TO, detours) }
            set(CURLOPT_PROXY, "")
        }

        switch request.body {
        case .none:
            if request.method == .head { set(CURLOPT_NOBODY, 1) }
            if request.method == .post || request.method == .put { postNothing() }
        case .bytes:
            // libcurl keeps the pointer, which the caller holds until the transfer has ended.
            guard let bytes, !bytes.isEmpty else {
                postNothing()
                break
            }
            let start = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
            if code == CURLE_OK {
                code = dr_curl_set_offset(
                    easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes.count))
            }
            if code == CURLE_OK { code = dr_curl_set_pointer(easy, CURLOPT_POSTFIELDS, start) }
        case .descriptor(_, let length), .source(let length, _):
            set(CURLOPT_UPLOAD, 1)
            set(CURLOPT_UPLOAD_BUFFERSIZE, 512 << 10)
            // Nothing can be sent twice: a kept connection that turns out to be dead would fail it.
            set(CURLOPT_FRESH_CONNECT, 1)
            remaining = length
            if let length, code == CURLE_OK {
                code = dr_curl_set_offset(easy, CURLOPT_INFILESIZE_LARGE, curl_off_t(length))
            }
        case .replayable(let length, _):
            set(CURLOPT_UPLOAD, 1)
            set(CURLOPT_UPLOAD_BUFFERSIZE, 512 << 10)
            remaining = length
            if code == CURLE_OK {
                code = dr_curl_set_offset(easy, CURLOPT_INFILESIZE_LARGE, curl_off_t(length))
            }
            if code == CURLE_OK {
                code = dr_curl_set_seek_callback(easy) { context, offset, origin in
                    HTTPTransfer.from(context)?.seek(offset, origin) ?? CURL_SEEKFUNC_CANTSEEK
                }
            }
            if code == CURLE_OK { code = dr_curl_set_pointer(easy, CURLOPT_SEEKDATA, context) }
        }
        if request.method != .head { set(CURLOPT_CUSTOMREQUEST, request.method.rawValue) }
        if code != CURLE_OK {
            throw failure(code, String(cString: curl_easy_strerror(code)))
        }
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> HTTPTransfer? {
        context.map { Unmanaged<HTTPTransfer>.fromOpaque($0).takeUnretainedValue() }
    }

    private func header(_ bytes: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
        lastActivity = .now
        let line = String(
            decoding: UnsafeRawBufferPointer(start: bytes, count: count), as: UTF8.self)
        if line.hasPrefix("HTTP/") {
            response.headers = []
            response.body = []
            let words = line.split(separator: " ", maxSplits: 2)
            response.status = words.count > 1 ? Int(words[1].prefix { $0.isNumber }) ?? 0 : 0
        } else if let colon = line.firstIndex(of: ":") {
            let value = line[line.index(after: colon)...]
                .drop { $0 == " " || $0 == "\t" }.prefix {
                    $0 != "\r\n" && $0 != "\r" && $0 != "\n"
                }
            response.headers.append(HTTPHeader(String(line[..<colon]), String(value)))
        }
        return count
    }

    private func body(_ bytes: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
        defer { lastActivity = .now }
        let slice = UnsafeRawBufferPointer(start: bytes, count: count)
        if interrupt.isRaised {
            thrown = CancellationError()
            return 0
        }
        if let receive, response.isSuccess {
            do { try receive(slice) } catch {
                thrown = error
                return 0
            }
        } else if response.body.count + count > request.maximumBody {
            thrown = Failure(
                .failed,
                "\(request.place) answers with more than \(ByteCount(UInt64(request.maximumBody)))")
            return 0
        } else {
            response.body.append(contentsOf: slice)
        }
        return count
    }

    private func fill(_ bytes: UnsafeMutablePointer<CChar>?, _ capacity: Int) -> Int {
        defer { lastActivity = .now }
        var space = UnsafeMutableRawBufferPointer(start: bytes, count: capacity)
        if let remaining, remaining < UInt64(capacity) {
            space = UnsafeMutableRawBufferPointer(rebasing: space[..<Int(remaining)])
        }
        if space.isEmpty { return 0 }
        do {
            let count =
                switch request.body {
                case .descriptor(let descriptor, _): try read(descriptor, into: space)
                case .source(_, let next): try next(space)
                case .replayable(_, let read): try read(position, space)
                case .none, .bytes: 0
                }
            if let remaining {
                if count == 0 {
                    throw Failure(
                        .failed, "the data for \(request.place) ended \(remaining) bytes early")
                }
                self.remaining = remaining - UInt64(count)
            }
            position += UInt64(count)
            return count
        } catch {
            thrown = error
            return Int(CURL_READFUNC_ABORT)
        }
    }

    /// Goes back to where libcurl has to begin again.
    private func seek(_ offset: curl_off_t, _ origin: Int32) -> Int32 {
        guard case .replayable(let length, _) = request.body, origin == SEEK_SET, offset >= 0,
            UInt64(offset) <= length
        else { return CURL_SEEKFUNC_FAIL }
        position = UInt64(offset)
        remaining = length - position
        return CURL_SEEKFUNC_OK
    }

    private func read(
        _ descriptor: Int32, into space: UnsafeMutableRawBufferPointer
    ) throws -> Int {
        while true {
            _ = interrupt.wait(for: descriptor, events: POLLIN)
            if interrupt.isRaised { throw CancellationError() }
            let count = Glibc.read(descriptor, space.baseAddress, space.count)
            if count >= 0 { return count }
            if errno != EINTR, errno != EAGAIN { throw SystemError.last("read", request.place) }
        }
    }

    private var outOfMemory: Failure { Failure(.failed, "libcurl is out of memory", side: .local) }

    private func failure(_ code: CURLcode, _ detail: String) -> Failure {
        let transient: [CURLcode] = [
            CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT,
            CURLE_OPERATION_TIMEDOUT, CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR,
            CURLE_PARTIAL_FILE, CURLE_SSL_CONNECT_ERROR, CURLE_HTTP2, CURLE_HTTP2_STREAM,
        ]
        return Failure(
            code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ? .usage : .failed,
            "\(request.place) gave no whole answer", cause: detail,
            isTransient: transient.contains { $0 == code })
    }
}

extension Detour {
    /// As libcurl takes them: host and port of the address, then where to connect to; empty for any.
    fileprivate var rules: [String] {
        ports.sorted { $0.key < $1.key }.map { ":\($0.key):\(shownHost):\($0.value)" }
            + ["::\(shownHost):"]
    }
}
