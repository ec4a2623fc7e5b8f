import Engine
import Glibc
import Model

extension HostDiscovery {
    /// What a machine needs beside its containers to be itself again.
    private static let places: [(path: String, what: String)] = [
        ("/etc", "configuration of the system"),
        ("/var/spool/cron", "crontabs"),
        ("/var/lib/docker/swarm", "the Docker Engine's swarm"),
        ("/var/lib/tailscale", "identity in Tailscale"),
        ("/var/lib/netbird", "identity in NetBird"),
        ("/var/lib/zerotier-one", "identity in ZeroTier"),
        ("/var/lib/caddy", "Caddy's certificates"),
        ("/usr/local/etc", "configuration of what was installed by hand"),
    ]

    private static let packageLists: [(program: String, words: [String])] = [
        ("dpkg-query", ["dpkg-query", "-W"]), ("rpm", ["rpm", "-qa"]),
        ("apk", ["apk", "info", "-v"]),
        ("pacman", ["pacman", "-Qe"]),
    ]

    /// Proposes the service of the machine itself.
    ///
    /// - Parameters:
    ///   - projects: Working directories of Compose projects.
    ///   - mounted: What containers have mounted of them, which is saved with the containers.
    ///   - hasProgram: Whether a program can be run.
    func proposeHost(
        projects: [String], mounted: [String], hasProgram: (String) -> Bool,
        _ discovery: inout Discovery, names: inout ServiceNames
    ) async throws {
        guard isWanted("host") else { return }
        guard geteuid() == 0 else {
            discovery.leftOut.append(
                "the machine's own configuration (/etc, crontabs): only root may read all of it")
            return
        }
        var service = ProposedService(name: names.make("host"))
        let present = try await BlockingPool.shared.run { () -> [(path: String, what: String)] in
            let all =
                Self.places + Set(projects).sorted().map { (path: $0, what: "a Compose folder") }
            return all.filter {
                FileSystem().isDirectory($0.path) && !DockerDiscovery.isEmpty($0.path)
            }
        }
        let covered = present.filter { place in
            !present.contains {
                $0.path != place.path && MountRules.lies(place.path, in: $0.path)
            }
        }
        guard !covered.isEmpty else { return }
        service.remarks.append("The machine itself:")
        for place in covered {
            service.remarks.append("  \(printable(place.path.utf8)): \(place.what)")
        }
        service.remarks.append(
            "It comes back beside a running system, never over it: look there, and copy what you "
                + "need.")
        let within = Set(mounted).sorted().filter { path in
            covered.contains { $0.path != path && MountRules.lies(path, in: $0.path) }
        }
        service.files = FilesSpecification(
            paths: covered.map(\.path), exclude: within.map(Self.quoted),
            oneFileSystem: true)
        service.files?.restoreTo = restored
        if !within.isEmpty {
            service.remarks.append("What containers mount is saved with them, and left out here.")
        }
        service.subjects = Set(covered.map { "files/\($0.path)" })
        if let list = Self.packageLists.first(where: { hasProgram($0.program) }) {
            service.command = CommandSpecification(
                name: "packages", capture: list.words,
                restore: ["install", "-D", "-m", "644", "/dev/stdin", "\(restored)/packages"])
            service.remarks.append("The list of packages comes back as \(restored)/packages.")
        }
        discovery.services.append(service)
    }

    /// As a pattern that means nothing but itself.
    private static func quoted(_ path: String) -> String {
        path.map { "*?[\\".contains($0) ? "\\\($0)" : "\($0)" }.joined()
    }

}
