import Model
import Workloads

/// What a configuration saves already, in the words of proposals' `subjects`.
struct Coverage {
    private var subjects: Set<String> = []
    private var projects: Set<String> = []
    private var paths: [String] = []
    private var guests: [ProxmoxSpecification.Subject] = []

    init(_ configuration: Configuration) {
        for workload in configuration.services.flatMap(\.workloads) {
            switch workload {
            case .docker(let docker):
                switch docker.subject {
                case .container(let name): subjects.insert("container/\(name)")
                case .project(let name): projects.insert(name)
                case .volume(let name): subjects.insert("volume/\(name)")
                }
            case .postgres(let postgres):
                switch postgres.server {
                case .container(let name, _): subjects.insert("postgres/\(name)")
                case .url(let url): if postgres.host == nil { subjects.insert("url/\(url)") }
                }
            case .mariadb(let mariadb):
                switch mariadb.server {
                case .container(let name, _): subjects.insert("mariadb/\(name)")
                case .address(let address):
                    if mariadb.host == nil { subjects.insert("mariadb/\(address)") }
                }
            case .files(let files):
                if files.host == nil {
                    paths += files.paths
                    // A file system of its own that is named itself.
                    subjects.formUnion(files.paths.map { "mount/\($0)" })
                }
            // Guests of the cluster that this machine is part of.
            case .proxmox(let proxmox): if proxmox.ssh == nil { guests.append(proxmox.subject) }
            case .sqlite, .command: break
            }
        }
    }

    /// Whether all of a proposal is saved already.
    func covers(_ service: ProposedService) -> Bool {
        if case .project(let name) = service.docker?.subject, projects.contains(name) {
            return true
        }
        if case .postgres(let postgres) = service.server, case .url(let url) = postgres.server,
            subjects.contains("url/\(url)")
        {
            return true
        }
        if let guest = service.guest { return guests.contains(where: guest.isMeant) }
        return service.subjects.allSatisfy { subject in
            if subjects.contains(subject) { return true }
            if subject.hasPrefix("files/") {
                let path = subject.dropFirst("files/".count)
                return paths.contains { path == $0 || path.hasPrefix($0 + "/") }
            }
            guard subject.hasPrefix("container/") else { return false }
            let project = service.project
            return project.map(projects.contains) ?? false
        }
    }
}
