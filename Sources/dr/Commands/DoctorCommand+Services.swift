import Catalog
import Engine
import Glibc
import Model
import Workloads

// What services need of the world around them.
extension DoctorCommand {
    /// Asks every database server and looks for everything that services name.
    func lookAtServices(
        _ application: Application, _ configuration: Configuration,
        _ examination: inout Examination
    ) async throws {
        let context = application.context(configuration)
        for service in configuration.services {
            for workload in service.workloads {
                let id = WorkloadID(
                    service: service.name, kind: workload.kind, name: workload.name)
                switch workload {
                case .postgres(let server):
                    try await examination.attempt(id.text) {
                        let facts = try await application.postgresDriver.look(
                            at: server, context: context)
                        return "PostgreSQL \(facts.version) answers, \(facts.description)"
                    }
                case .mariadb(let server):
                    try await examination.attempt(id.text) {
                        let facts = try await application.mariadbDriver.look(
                            at: server, context: context)
                        return "\(facts.version) answers, \(facts.description)"
                    }
                case .docker(let docker):
                    do {
                        let found = try await DockerDriver().look(at: docker, context: context)
                        for omission in found.omissions {
                            examination.bad(
                                id.text,
                                Failure(
                                    .failed, omission,
                                    hint: "make it, or leave it out with exclude:"))
                        }
                    } catch {
                        if error is CancellationError { throw error }
                        examination.bad(id.text, Failure(wrapping: error))
                    }
                case .files(let files):
                    if let host = files.host {
                        try await examination.attempt(id.text) {
                            let machine = try SSHDestination(address: host)
                            try await Self.require(
                                files.paths, on: machine, by: #"test -r "$p""#, lacking: "to read",
                                hint: "is a file system not mounted there?")
                            return "all of its paths are there, on \(machine)"
                        }
                        continue
                    }
                    for path in files.paths where access(path, R_OK) != 0 {
                        missing(path, id, &examination)
                    }
                case .sqlite(let sqlite):
                    if access(sqlite.path, R_OK) != 0 { missing(sqlite.path, id, &examination) }
                // Guests are looked at together, cluster by cluster.
                case .command, .proxmox: break
                }
            }
        }
        try await lookAtGuests(application, configuration, &examination)
    }

    private func lookAtGuests(
        _ application: Application, _ configuration: Configuration,
        _ examination: inout Examination
    ) async throws {
        var survey = ProxmoxSurvey(programs: application.programs)
        for service in configuration.services {
            for case .proxmox(let proxmox) in service.workloads {
                let id = WorkloadID(service: service.name, kind: .proxmox, name: proxmox.name)
                survey.add(proxmox, as: id)
            }
        }
        for finding in try await survey.run() {
            switch finding.state {
            case .good: examination.good(finding.subject, finding.failure.description)
            case .advice:
                examination.advice(
                    finding.subject, finding.failure.description, hint: finding.failure.hint ?? "")
            case .wrong: examination.bad(finding.subject, finding.failure)
            }
        }
    }

    /// Looks for words on another machine.
    ///
    /// - Parameters:
    ///   - test: Tells its shell whether `$p` is there.
    ///   - lack: Follows the names of what is not there.
    /// - Throws: ``Failure`` when not all of them are there, or the machine does not answer.
    static func require(
        _ words: [String], on machine: SSHDestination, by test: String, lacking lack: String,
        hint: String
    ) async throws {
        let script = "for p; do \(test) || echo \"$p\"; done"
        let result = try await SSHPrograms(on: machine).run(
            ProgramCall(["sh", "-c", script, "dr"] + words, timeout: TimeSpan(seconds: 60)))
        let missing = result.text.split(separator: "\n").map { printable($0.utf8) }
        guard missing.isEmpty else {
            throw Failure(
                .failed, "\(machine) has no \(missing.joined(separator: ", ")) \(lack)", hint: hint)
        }
    }

    private func missing(_ path: String, _ id: WorkloadID, _ examination: inout Examination) {
        let reason = SystemError.last("access", path)
        examination.bad(
            id.text,
            Failure(
                .failed, "\(reason)",
                hint: "is a file system not mounted, or is dr not run as root?"))
    }

    /// What runs on this machine and is in no service.
    func lookAtCoverage(
        _ application: Application, _ configuration: Configuration,
        _ examination: inout Examination
    ) async throws {
        let discovery = try await application.discover(configuration)
        let coverage = Coverage(configuration)
        let missing = discovery.services.filter { !coverage.covers($0) }.map(\.name)
        if missing.isEmpty {
            examination.good("coverage", "everything that was found on this machine is saved")
        } else {
            examination.advice(
                "coverage", "not saved: \(missing.joined(separator: ", "))",
                hint: "dr discover --diff writes what to add")
        }
    }
}
