import CLinux
import Engine
import Glibc
import Model
import Synchronization

extension DockerEngine {
    /// An image by reference, digest or id; nil when the Engine does not have it.
    func find(image: String) async throws -> ImageInspection? {
        // A reference holds slashes, and the Engine wants them as they are.
        let path = ["images"] + image.split(separator: "/").map(String.init) + ["json"]
        return try await find(request(.get, path)).map(ImageInspection.init(json:))
    }

    /// Gives an image the name `reference`.
    func tag(image: String, as reference: String) async throws {
        let name = ImageReference(reference)
        try await call(
            request(
                .post, ["images", image, "tag"],
                query: [("repo", name.repository), ("tag", name.tag ?? "latest")]))
    }

    /// Writes images as one tar to a descriptor, as `docker save` does.
    ///
    /// The Engine reports an error that comes late as text behind the tar: whoever reads it must
    /// look at its end, see ``SavedImageEnd``.
    func saveImages(_ names: [String], to descriptor: Int32) async throws {
        var request = try request(
            .get, ["images", "get"], query: names.map { ("names", $0) })
        request.idleTimeout = TimeSpan(seconds: 600)
        let answer = try await send(request) { bytes in
            var rest = bytes
            while let base = rest.baseAddress, !rest.isEmpty {
                let count = write(descriptor, base, rest.count)
                if count >= 0 {
                    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                } else if errno != EINTR {
                    throw SystemError.last("write", "saved image").failure(side: .local)
                }
            }
        }
        guard answer.isSuccess else { throw refusal(answer) }
    }

    /// Loads what ``saveImages(_:to:)`` wrote, from a descriptor until its end.
    ///
    /// - Returns: References and ids that the Engine says it has now.
    func loadImages(from descriptor: Int32) async throws -> [String] {
        var request = try request(.post, ["images", "load"], query: [("quiet", "1")])
        request.headers.append(HTTPHeader("Content-Type", "application/x-tar"))
        request.body = .descriptor(descriptor, length: nil)
        request.idleTimeout = TimeSpan(seconds: 1800)
        return try await messages(of: request, doing: "load an image").compactMap { message in
            guard let text = message["stream"].string, text.hasPrefix("Loaded image") else {
                return nil
            }
            let name = text.drop { $0 != ":" }.dropFirst().drop { $0 == " " }
            return String(name.prefix { $0 != "\n" && $0 != "\r" })
        }
    }

    /// Pulls an image from its registry, without credentials.
    func pull(_ reference: String) async throws {
        var request = try request(.post, ["images", "create"], query: [("fromImage", reference)])
        request.idleTimeout = TimeSpan(seconds: 600)
        _ = try await messages(of: request, doing: "pull \(reference)")
    }

    /// Whether its registry answers and has an image, as far as the Engine can see.
    func isInRegistry(_ reference: String) async throws -> Bool {
        let path =
            ["distribution"] + reference.split(separator: "/").map(String.init) + ["json"]
        var request = try request(.get, path)
        request.totalTimeout = TimeSpan(seconds: 20)
        do { return try await send(request).isSuccess } catch let failure as Failure {
            if failure.isTransient { return false }
            throw failure
        }
    }

    /// The lines of an answer that reports progress; one that reports an error is a failure.
    private func messages(
        of request: HTTPRequest, doing what: String
    ) async throws -> [JSONValue] {
        let lines = Mutex<[UInt8]>([])
        let answer = try await send(request) { bytes in
            lines.withLock { $0.append(contentsOf: bytes) }
        }
        guard answer.isSuccess else { throw refusal(answer) }
        let all = try lines.withLock { $0 }.split(separator: 10).map(Array.init)
            .filter { $0 != [13] }.map(JSONValue.init(parsing:))
        if let error = all.lazy.compactMap({ $0["error"].string }).first {
            throw Failure(
                .failed, "the Docker Engine could not \(what)",
                cause: printable(error.utf8.prefix(2000)), side: .target)
        }
        return all
    }
}

/// What an Engine says of an image.
struct ImageInspection: Sendable {
    let json: JSONValue

    var id: String { json["Id"].string ?? "" }
    var tags: [String] { json["RepoTags"].strings }
    /// `repository@sha256:…` in the registries that it was pulled from or pushed to.
    var digests: [String] { json["RepoDigests"].strings }
    /// The layers' own digests, which stay the same in every kind of image store.
    var layers: [String] { json["RootFS"]["Layers"].strings }
}

/// The parts of an image's name.
struct ImageReference: Sendable, Hashable {
    /// Registry and path, for example `ghcr.io/umami-software/umami`.
    var repository: String
    var tag: String?
    var digest: String?

    init(_ text: String) {
        var name = text[...]
        if let at = name.firstIndex(of: "@") {
            digest = String(name[name.index(after: at)...])
            name = name[..<at]
        }
        // A colon before a slash is a registry's port.
        if let colon = name.lastIndex(of: ":"), !name[colon...].contains("/") {
            tag = String(name[name.index(after: colon)...])
            name = name[..<colon]
        }
        repository = String(name)
    }

    /// Whether `text` is an image's id, or the beginning of one, rather than its name.
    static func isID(_ text: String) -> Bool {
        text.hasPrefix("sha256:")
            || text.utf8.count == 64 && Hexadecimal.decode(text) != nil
    }
}

/// Looks whether a saved image's tar ends as a tar must.
final class SavedImageEnd: StreamObserver {
    private struct State {
        var count = 0
        /// Zero bytes at the end of what has passed.
        var zeros = 0
    }
    private let state = Mutex(State())

    func observe(_ bytes: UnsafeRawBufferPointer) {
        state.withLock { state in
            state.count += bytes.count
            let trailing = bytes.reversed().prefix(1024).prefix { $0 == 0 }.count
            state.zeros = trailing == bytes.count ? state.zeros + trailing : trailing
        }
    }

    /// Whole blocks, the last two of them empty.
    var isComplete: Bool { state.withLock { $0.count % 512 == 0 && $0.zeros >= 1024 } }
}
