import CLinux
import Engine
import Glibc
public import Model

/// One thing that a drill made and that is there.
public struct DrillRemain: Sendable, Hashable, Codable, Comparable, CustomStringConvertible {
    /// `container`, `volume`, `network`, `image`, `process`, `directory`.
    public var kind: String
    public var name: String
    /// The drill whose label it bears; nil where names alone tell.
    public var run: String?

    public init(_ kind: String, _ name: String, run: String? = nil) {
        self.kind = kind
        self.name = name
        self.run = run
    }

    public var description: String { "\(kind) \(printable(name.utf8))" }

    public static func < (left: Self, right: Self) -> Bool {
        (left.kind, left.name) < (right.kind, right.name)
    }
}

/// What became of the things that were removed.
public struct DrillRemoval: Sendable, Hashable, Codable {
    public var removed: [DrillRemain] = []
    /// What could not be removed, and why.
    public var problems: [String] = []

    public init() {}

    public static func += (left: inout Self, right: Self) {
        left.removed += right.removed
        left.problems += right.problems
    }
}

/// Finds and removes what drills made in one Docker Engine, by its label: never anything else.
public struct DrillEngine: Sendable {
    private let engine: DockerEngine

    /// - Parameter host: The Engine's address; nil for this machine's.
    public init(host: String?) async throws {
        engine = try await DockerEngine.connect(host: host)
    }

    /// What copies lie in must be looked after from here.
    ///
    /// - Throws: `Failure` with code `usage` when the Engine is on another machine.
    public func requireThisMachine() throws {
        guard engine.isRemote else { return }
        throw Failure(
            .usage, "the Docker Engine \(engine.address) is on another machine",
            hint: "run dr drill there, with the same repository; or give it an Engine of this "
                + "machine: a target with isolated: true and docker: {host: …}")
    }

    /// Everything that bears the label of a repository's drills.
    ///
    /// - Parameter run: Only this drill's; nil for all drills of the repository.
    public func remains(of repository: RepositoryID, run: RunID? = nil) async throws
        -> [DrillRemain]
    {
        let filters = Self.filters(repository, run)
        func mark(_ labels: [String: String]) -> String? { labels[DrillIsolation.label] }
        let containers = try await engine.containers(filters: filters).map {
            DrillRemain("container", $0.name, run: mark($0.labels))
        }
        let volumes = try await engine.volumes(filters: filters).map {
            DrillRemain("volume", $0.name, run: mark($0.json["Labels"].stringMap))
        }
        let networks = try await engine.networks(filters: filters).map {
            DrillRemain(
                "network", $0["Name"].string ?? "", run: mark($0["Labels"].stringMap))
        }
        return (containers + volumes + networks).sorted()
    }

    /// Names that begin like a drill's, with or without its label.
    public func names(beginningWith prefix: String) async throws -> [DrillRemain] {
        let containers = try await engine.containers().map { DrillRemain("container", $0.name) }
        let volumes = try await engine.volumes().map { DrillRemain("volume", $0.name) }
        let networks = try await engine.networks().map {
            DrillRemain("network", $0["Name"].string ?? "")
        }
        return (containers + volumes + networks).filter { $0.name.hasPrefix(prefix) }.sorted()
    }

    /// Removes containers with their anonymous volumes, then volumes, then networks.
    public func remove(_ repository: RepositoryID, run: RunID) async throws -> DrillRemoval {
        var removal = DrillRemoval()
        for _ in 0..<2 {
            let found = try await remains(of: repository, run: run)
            if found.isEmpty { break }
            removal.problems = []
            for kind in ["container", "volume", "network"] {
                for thing in found where thing.kind == kind {
                    do {
                        try await remove(thing)
                        removal.removed.append(thing)
                    } catch {
                        try Task.checkCancellation()
                        removal.problems.append("\(thing): \(Failure(wrapping: error))")
                    }
                }
            }
        }
        return removal
    }

    private func remove(_ thing: DrillRemain) async throws {
        switch thing.kind {
        case "container":
            try await engine.remove(container: thing.name, force: true, volumes: true)
        case "volume": try await engine.remove(volume: thing.name)
        default: try await engine.remove(network: thing.name)
        }
    }

    /// Removes an image that a drill brought; one that others use by now stays, and is no residue.
    ///
    /// - Returns: Nil when it is gone already.
    public func remove(image id: String) async throws -> DrillRemain? {
        guard let image = try await engine.find(image: id) else { return nil }
        for name in image.tags + image.digests { try await engine.remove(image: name) }
        try await engine.remove(image: image.id)
        return DrillRemain("image", image.tags.first ?? id)
    }

    /// What is no drill's: each thing by what must not change while a drill goes on.
    public func liveSide() async throws -> [String: String] {
        var live: [String: String] = [:]
        for summary in try await engine.containers()
        where summary.labels[DrillIsolation.label] == nil {
            guard let container = try await engine.find(container: summary.name) else { continue }
            let started = container.json["State"]["StartedAt"].string ?? ""
            var facts = [container.id, container.imageID, container.status, started]
            facts += container.mounts.map { "\($0.name ?? $0.source):\($0.destination)" }.sorted()
            facts += container.networks.keys.sorted()
            live["container \(container.name)"] = facts.joined(separator: " ")
        }
        for volume in try await engine.volumes()
        where volume.json["Labels"][DrillIsolation.label] == .null {
            live["volume \(volume.name)"] = volume.createdAt
        }
        for network in try await engine.networks()
        where network["Labels"][DrillIsolation.label] == .null {
            live["network \(network["Name"].string ?? "")"] = network["Id"].string ?? ""
        }
        return live
    }

    /// The address that this machine reaches a container by; nil when it has none yet.
    public func address(of container: String) async throws -> String? {
        guard let found = try await engine.find(container: container) else { return nil }
        let networks = found.networks.sorted { $0.key < $1.key }.map(\.value)
        return networks.lazy.compactMap { $0["IPAddress"].string }.first { !$0.isEmpty }
    }

    private static func filters(_ repository: RepositoryID, _ run: RunID?) -> [String: [String]] {
        var labels = ["\(DrillIsolation.repositoryLabel)=\(repository)"]
        if let run { labels.append("\(DrillIsolation.label)=\(run)") }
        return ["label": labels]
    }
}

extension DockerEngine {
    /// Takes a name from an image, and the image where that was its last; one that is gone, or that a
    /// container uses, is no error.
    func remove(image: String) async throws {
        let path = ["images"] + image.split(separator: "/").map(String.init)
        let answer = try await send(request(.delete, path))
        guard answer.isSuccess || [404, 409].contains(answer.status) else { throw refusal(answer) }
    }
}

/// A drill's own directory, with what runs in it.
public enum DrillDirectory {
    /// Says whose it is.
    private static let mark = "dr-drill"

    /// Where a drill's directory is, below `parent`.
    public static func path(of run: RunID, in parent: String) -> String {
        "\(parent)/dr-drill-\(run.short)"
    }

    /// Makes it; blocks.
    ///
    /// Others may pass through it, to a server that runs as another user; what holds files of the
    /// machine is for its owner alone.
    public static func make(_ isolation: DrillIsolation) throws {
        let files = FileSystem()
        do throws(SystemError) {
            if let slash = isolation.directory.lastIndex(of: "/") {
                try files.makeDirectories(String(isolation.directory[..<slash]), mode: 0o755)
            }
            try files.makeDirectory(isolation.directory, mode: 0o711)
            try files.permit(isolation.directory, mode: 0o711)
            try files.writeDurably(
                Array("\(isolation.run) \(isolation.repository)\n".utf8),
                to: "\(isolation.directory)/\(mark)")
            try files.makeDirectory(isolation.root, mode: 0o700)
        } catch { throw error.failure(side: .target) }
    }

    /// The drills of a repository that left a directory below `parent`; blocks.
    public static func remains(of repository: RepositoryID, in parent: String) -> [DrillRemain] {
        let names = ((try? FileSystem().names(in: parent)) ?? []).sorted()
        return names.filter { $0.hasPrefix("dr-drill-") }.compactMap { name in
            let path = "\(parent)/\(name)"
            var status = stat()
            guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
                status.st_uid == geteuid()
            else { return nil }
            guard let text = try? FileSystem().read("\(path)/\(mark)") else {
                // Killed before it could say whose it is: then nothing is in it yet.
                let inside = (try? FileSystem().names(in: path)) ?? [name]
                let isBare = inside.allSatisfy { $0.hasPrefix("\(mark).") }
                return isBare ? DrillRemain("directory", path) : nil
            }
            let words = String(decoding: text, as: UTF8.self).split { $0 == " " || $0 == "\n" }
            guard words.count == 2, words[1] == "\(repository)" else { return nil }
            return DrillRemain("directory", path, run: String(words[0]))
        }
    }

    /// Ends what runs in a drill's directory and removes it.
    ///
    /// - Returns: What was removed; empty when there was nothing.
    public static func remove(_ path: String) async throws -> [DrillRemain] {
        guard FileSystem().isDirectory(path) else { return [] }
        var removed: [DrillRemain] = []
        for server in try await BlockingPool.shared.run({ servers(in: path) }) {
            let running = try await BlockingPool.shared.run {
                ScratchServer.processes(in: server).count
            }
            guard running > 0 else { continue }
            try await ScratchServer.end(in: server)
            removed.append(DrillRemain("process", "\(running) of the server in \(server)"))
        }
        try await BlockingPool.shared.run { try TreeRemoval.remove(path) }
        return removed + [DrillRemain("directory", path)]
    }

    /// Processes that still work below a drill's directory; blocks.
    public static func processes(in path: String) -> [DrillRemain] {
        servers(in: path).flatMap { server in
            ScratchServer.processes(in: server).map {
                DrillRemain("process", "\($0) in \(server)")
            }
        }
    }

    /// Data directories of scratch servers. Whoever else works below the directory is no part of it.
    private static func servers(in path: String) -> [String] {
        ((try? FileSystem().names(in: path)) ?? []).filter {
            $0.hasPrefix(DrillIsolation.serverPrefix)
        }.map { "\(path)/\($0)/data" }
    }
}
