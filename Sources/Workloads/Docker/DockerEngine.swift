public import Engine
import Model

/// The interface of one Docker Engine, at the newest version that both sides know.
///
/// A value that may be used from anywhere at once; every call is one request. Calls throw
/// ``Failure`` with the Engine's own words.
public struct DockerEngine: Sendable {
    public let address: DockerAddress
    /// What all calls use.
    public let version: DockerAPIVersion
    /// The path of the unix socket that is spoken to.
    let socket: String
    /// Its files are those of another machine.
    var isRemote: Bool { if case .ssh = address { true } else { false } }
    private let http: HTTPClient

    /// Asks the Engine which versions it speaks.
    ///
    /// - Throws: ``Failure``: no Engine answers there, it is older than Docker 20.10, or an address
    ///   of a kind that is not supported yet.
    public static func connect(
        address: DockerAddress, http: HTTPClient = HTTPClient()
    ) async throws -> DockerEngine {
        let socket: String
        switch address {
        case .unix(let path): socket = path
        case .ssh(let host):
            guard let destination = try address.destination else {
                throw Failure(.usage, "not a machine to reach by ssh: \(host)")
            }
            socket = try await SSHTunnels.shared.tunnel(
                to: destination, remote: address.remoteSocket
            ).socket
        case .tcp:
            throw Failure(
                .usage, "the Docker Engine \(address) would be spoken to in the open",
                hint: "reach it as ssh://user@host")
        }
        var engine = DockerEngine(
            address: address, version: .oldest, socket: socket, http: http)
        var request = HTTPRequest(.get, "http://docker/_ping", unixSocket: socket)
        request.totalTimeout = TimeSpan(seconds: 30)
        let answer = try await engine.send(request)
        guard answer.isSuccess,
            let text = answer.header("Api-Version"), let offered = DockerAPIVersion(text)
        else {
            throw Failure(
                .failed, "what answers at \(address) is no Docker Engine (status \(answer.status))",
                hint: "set docker.host in the configuration")
        }
        guard offered >= .oldest else {
            throw Failure(
                .failed, "the Docker Engine at \(address) speaks version \(offered) only",
                hint: "dr needs \(DockerAPIVersion.oldest), that is Docker 20.10 or newer")
        }
        engine = DockerEngine(
            address: address, version: min(offered, .newest), socket: socket, http: http)
        return engine
    }

    /// The Engine that ``DockerAddress/resolve(configured:environment:)`` finds.
    public static func connect(host: String?) async throws -> DockerEngine {
        try await connect(address: DockerAddress.resolve(configured: host))
    }

    /// A request to `path` of the negotiated version.
    ///
    /// Path components and query values are encoded here.
    func request(
        _ method: HTTPRequest.Method, _ path: [String], query: [(String, String)] = [],
        body: JSONValue? = nil
    ) throws -> HTTPRequest {
        let place = path.map(Self.encode).joined(separator: "/")
        let pairs = query.map { "\(Self.encode($0.0))=\(Self.encode($0.1))" }
        let url =
            "http://docker/v\(version)/\(place)"
            + (pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&"))
        var request = HTTPRequest(method, url, unixSocket: socket)
        if let body {
            request.headers.append(HTTPHeader("Content-Type", "application/json"))
            request.body = .bytes(try body.bytes())
        }
        return request
    }

    /// Sends a request; every answer of the Engine is returned, whatever its status.
    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        do { return try await http.send(request) } catch { throw lost(error) }
    }

    /// Sends a request and passes a successful answer's body on as it comes.
    func send(
        _ request: HTTPRequest,
        receive: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws -> HTTPResponse {
        do { return try await http.send(request, receive: receive) } catch { throw lost(error) }
    }

    /// Sends a request and returns the answer's JSON; a failure for any status but success.
    @discardableResult
    func call(_ request: HTTPRequest) async throws -> JSONValue {
        let answer = try await send(request)
        guard answer.isSuccess else { throw refusal(answer) }
        return answer.body.isEmpty ? .null : try JSONValue(parsing: answer.body)
    }

    /// Like ``call(_:)``; nil when the Engine has no such thing.
    func find(_ request: HTTPRequest) async throws -> JSONValue? {
        let answer = try await send(request)
        if answer.status == 404 { return nil }
        guard answer.isSuccess else { throw refusal(answer) }
        return try JSONValue(parsing: answer.body)
    }

    /// What the Engine said instead of doing it.
    func refusal(_ answer: HTTPResponse) -> Failure {
        let said = (try? JSONValue(parsing: answer.body))?["message"].string ?? answer.text
        let isEnding = answer.status == 500 && Self.lastWords.contains(where: said.contains)
        return Failure(
            .failed, "docker: \(printable(said.utf8.prefix(2000)))", side: .source,
            isTransient: answer.status == 503 || isEnding)
    }

    /// What an Engine answers that is about to end, or has lost its containerd: soon there is another.
    private static let lastWords = [
        "database not open", "transport is closing", "context canceled", "shutting down",
    ]

    private func lost(_ error: any Error) -> any Error {
        guard let failure = error as? Failure, failure.isTransient else { return error }
        let denied = failure.cause?.contains("Permission denied") ?? false
        return Failure(
            .failed, "the Docker Engine at \(address) does not answer",
            hint: denied
                ? "run as root, or as a member of the group that owns the socket"
                : "start Docker, or set docker.host in the configuration",
            cause: failure.cause, side: .source, isTransient: true)
    }

    private static func encode(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                encoded.append(Character(Unicode.Scalar(byte)))
            default:
                encoded += "%" + Hexadecimal.encode([byte]).uppercased()
            }
        }
        return encoded
    }
}
