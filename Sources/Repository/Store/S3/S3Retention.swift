import Engine
import FoundationEssentials
public import Model

/// A lock that the store puts on each object of a bucket that was made for it.
public struct S3Retention: Hashable, Sendable {
    public enum Mode: String, Hashable, Sendable, CaseIterable {
        /// Who has a right of its own may end it.
        case governance
        /// Nobody may.
        case compliance
    }

    public var mode: Mode
    /// From when the object is stored.
    public var span: TimeSpan

    public init(mode: Mode, span: TimeSpan) {
        self.mode = mode
        self.span = span
    }

    /// What comes and goes with each run must not stay.
    private static let passing: Set<Substring> = ["sessions", "condemned", "damaged", "reserve"]

    /// What the store is told with an object.
    ///
    /// - Parameter now: By the store's clock.
    func headers(for key: ObjectKey, at now: Timestamp) -> [HTTPHeader] {
        guard !Self.passing.contains(key.path.prefix { $0 != "/" }) else { return [] }
        return [
            HTTPHeader("x-amz-object-lock-mode", mode.rawValue.uppercased()),
            HTTPHeader("x-amz-object-lock-retain-until-date", Self.date(now + span)),
            // Without it some stores do not believe that the bytes are those that are meant.
            HTTPHeader("x-amz-sdk-checksum-algorithm", "SHA256"),
        ]
    }

    /// The same for an object that is there.
    func document(until moment: Timestamp) -> S3Body {
        let text =
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            + "<Mode>\(mode.rawValue.uppercased())</Mode>"
            + "<RetainUntilDate>\(Self.date(moment))</RetainUntilDate></Retention>"
        return S3Body([Data(text.utf8)])
    }

    private static func date(_ moment: Timestamp) -> String {
        Timestamp(seconds: Int(moment.wholeSeconds), nanoseconds: 0).description
    }
}

// Locks on single objects.
extension S3Store {
    public var lockSpan: TimeSpan? { retention?.span }

    public func lockedUntil(_ key: ObjectKey) async throws -> Timestamp? {
        let path = path(key.path)
        return try await retries.call { _, left in
            let answer = try await calls.send(S3Call(.head, path), within: left, accepting: [404])
            if answer.status == 404 { throw ObjectMissing(key) }
            return answer.header("x-amz-object-lock-retain-until-date").flatMap {
                Timestamp(rfc3339: $0)
            }
        }
    }

    public func lock(_ key: ObjectKey, until moment: Timestamp) async throws {
        guard let retention else { return }
        let call = S3Call(
            .put, path(key.path), query: [(name: "retention", value: "")],
            body: retention.document(until: moment))
        try await retries.call { _, left in
            _ = try await calls.send(call, within: left)
        }
    }
}
