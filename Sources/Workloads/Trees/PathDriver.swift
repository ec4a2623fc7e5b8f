import CLinux
import Engine
import Glibc
public import Model

/// Brings single paths of snapshots back instead of whole workloads; stands in for any kind's
/// driver.
///
/// Into a directory each comes under its own last name, as `cp -a` would put it; to this machine it
/// comes back where it was.
public struct PathDriver: WorkloadDriver {
    /// Something that a tree holds.
    public struct Found: Sendable {
        /// From the tree's root.
        public var path: [UInt8]
        public var files: UInt64
        public var bytes: ByteCount

        public init(path: [UInt8], files: UInt64, bytes: ByteCount) {
            self.path = path
            self.files = files
            self.bytes = bytes
        }
    }

    /// Looks for the first of some paths in a tree; nil when it has none of them.
    public typealias Lookup =
        @Sendable (_ candidates: [[UInt8]], _ part: SnapshotPart) async throws -> Found?

    public let kind: WorkloadKind
    private let paths: [String]
    private let lookup: Lookup
    private static let prefix = "path:"

    /// The id of the step that brings a path back.
    public static func step(of path: String) -> String { prefix + path }

    /// - Parameter paths: As a person wrote them: of the captured machine, or below a part's name.
    public init(kind: WorkloadKind, paths: [String], lookup: @escaping Lookup) {
        self.kind = kind
        self.paths = paths
        self.lookup = lookup
    }

    public func capture(
        _ workload: WorkloadSpecification, of service: Service, into sink: any CaptureSink,
        context: WorkloadContext
    ) async throws -> CaptureOutcome {
        throw Failure(.failed, "single paths are not captured", side: .local)
    }

    /// What one of the paths means in a snapshot.
    private struct Wanted {
        var place: SnapshotPlace
        var found: Found
        /// Where it comes back.
        var target: String
    }

    /// nil when the snapshot does not have it.
    private func wanted(_ path: String, in snapshot: SnapshotRecord, _ target: ReplayTarget)
        async throws -> Wanted?
    {
        let candidates = nameCandidates(path).compactMap { snapshot.place(at: $0) }
        guard var place = candidates.first else { return nil }
        let found: Found
        if place.part.kind == .tree {
            let paths = candidates.filter { $0.part == place.part }.map(\.path)
            guard let seen = try await lookup(paths, place.part) else { return nil }
            found = seen
            place.path = seen.path
        } else {
            found = Found(path: [], files: 1, bytes: place.part.bytes)
        }
        let address = place.part.address(of: place.path)
        switch target {
        case .here, .place:
            guard place.part.kind == .tree, address.first == UInt8(ascii: "/") else {
                throw Failure(
                    .usage, "\(printable(address)) has no place on this machine of its own",
                    hint: "bring it back to a directory: --to ./somewhere/")
            }
            if let host = place.part.attributes[MachineFiles.hostKey] {
                throw Failure(
                    .usage, "\(printable(address)) was captured on \(printable(host.utf8))",
                    hint: "bring it back to a directory, or the whole service: --to ./somewhere/")
            }
            let text = Self.text(address[...])
            return Wanted(place: place, found: found, target: target.path(text) ?? text)
        case .directory(let directory):
            let last = address.split(separator: UInt8(ascii: "/")).last ?? Array("root".utf8)[...]
            let base = directory.hasSuffix("/") ? String(directory.dropLast()) : directory
            return Wanted(place: place, found: found, target: "\(base)/\(Self.text(last))")
        }
    }

    /// A name as a path of this machine; one that is no text gets its escaped form.
    private static func text(_ bytes: ArraySlice<UInt8>) -> String {
        String(validating: bytes, as: UTF8.self) ?? printable(bytes)
    }

    public func replaySteps(
        for source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [ReplayStep] {
        var steps: [ReplayStep] = []
        for path in paths {
            guard let wanted = try await wanted(path, in: source.snapshot, target) else { continue }
            steps.append(
                ReplayStep(
                    id: Self.step(of: path), title: "restore \(printable(wanted.target.utf8))",
                    bytes: wanted.found.bytes, phase: .data, makes: ["path\(wanted.target)"]))
        }
        return steps
    }

    public func preflight(
        _ steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [PreflightFinding] {
        let places = steps.flatMap { $0.makes.map { String($0.dropFirst("path".count)) } }
        return try await BlockingPool.shared.run {
            places.compactMap { place in
                switch RestoredTree(path: place).state {
                case .absent, .emptyDirectory: nil
                case .directory, .other:
                    target.taken("\(printable(place.utf8)) exists", path: place)
                }
            }
        }
    }

    public func perform(
        _ step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> ReplayOutcome {
        let path = String(step.id.dropFirst(Self.prefix.count))
        guard let wanted = try await wanted(path, in: source.snapshot, target) else {
            throw Failure(.damaged, "the snapshot has no \(printable(path.utf8)) any more")
        }
        let part = wanted.place.part
        guard part.kind == .tree else {
            let count = try await ReplayedFile(path: wanted.target).write(
                part.name, from: source, replace: context.replace,
                claim: context.claim("path\(wanted.target)"))
            return ReplayOutcome(bytes: ByteCount(count))
        }
        let options = TreeReplayOptions(
            privilegedMetadata: target.isLive || context.privilegedMetadata,
            owners: geteuid() == 0, root: wanted.place.path)
        return try await RestoredTree(path: wanted.target).outcome(
            of: part.name, from: source, options: options, context: context, name: path,
            files: wanted.found.files)
    }
}
