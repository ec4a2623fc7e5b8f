import FoundationEssentials

/// A repository that a released version wrote, with what must come out of it: `Tests/Fixtures`.
public struct GoldenRepository: Decodable, Sendable {
    public struct Snapshot: Decodable, Sendable {
        public var id: String
        public var service: String
        public var workload: String
        public var kind: String
        public var host: String
        public var asOf: String
        public var tags: [String]
        public var parts: [Part]
    }

    public struct Part: Decodable, Sendable {
        public var name: String
        public var kind: String
        public var bytes: UInt64
        /// Where it was read, of a tree or a database.
        public var path: String?
        /// Of a stream.
        public var sha256: String?
        /// Of what `sqlite3 .dump` says of a database.
        public var dump_sha256: String?
        public var tree: ExpectedTree?

        /// Of a stream or a database.
        public var sum: String? { sha256 ?? dump_sha256 }
    }

    public var format: Int
    public var written_by: String
    public var password: String
    /// A random key that opens it too, in hexadecimal.
    public var key: String
    /// Ids of snapshots that were removed on purpose.
    public var removed: [String]
    public var snapshots: [Snapshot]

    /// All there are, for example `format-1/0.1.0`.
    public static let names: [String] = {
        let fixtures = Checkout.path("Tests/Fixtures")
        let files = FileManager.default
        let formats = (try? files.contentsOfDirectory(atPath: fixtures)) ?? []
        return formats.filter { $0.hasPrefix("format-") }.flatMap { format in
            ((try? files.contentsOfDirectory(atPath: "\(fixtures)/\(format)")) ?? []).map {
                "\(format)/\($0)"
            }
        }.sorted()
    }()

    /// Copies the repository to `repository` in `scratch`: what is checked in is never written to.
    public static func unpack(
        _ name: String, in scratch: TemporaryDirectory
    ) async throws -> GoldenRepository {
        let place = Checkout.path("Tests/Fixtures/\(name)")
        let copy = try await OutsideProgram.run(
            ["cp", "-r", "\(place)/repository", scratch.path("repository")])
        guard copy.status == 0 else { throw OutsideProgram.Problem("copy \(place)") }
        let expected = try Data(contentsOf: URL(filePath: "\(place)/expected.json"))
        return try JSONDecoder().decode(GoldenRepository.self, from: expected)
    }
}
