import Engine
import Model

/// A way into a Proxmox VE cluster: one of its nodes, this machine or one that `ssh` reaches.
///
/// Everything is asked of `pvesh`, which is the interface of the cluster for root on a node.
struct ProxmoxNode: Sendable {
    /// For people, and to tell clusters apart.
    let address: String
    let programs: any ProgramRunner

    /// - Parameter ssh: For example `root@pve1`; nil for this machine.
    init(ssh: String?, programs: any ProgramRunner) throws {
        guard let ssh else {
            address = "this machine"
            self.programs = programs
            return
        }
        let destination = try SSHDestination(parsing: ssh)
        address = "\(destination)"
        self.programs = SSHPrograms(on: destination, local: programs)
    }

    private static let patience = TimeSpan(seconds: 120)

    /// What the cluster answers to a question.
    func get(_ path: String, _ options: [String] = []) async throws -> JSONValue {
        let result = try await programs.run(
            ProgramCall(
                ["pvesh", "get", path] + options + ["--output-format", "json"],
                timeout: Self.patience))
        guard result.succeeded else { throw failure("pvesh get \(path)", result) }
        do {
            return try JSONValue(parsing: result.output)
        } catch {
            throw Failure(
                .failed, "pvesh get \(path) on \(address) did not answer in JSON",
                hint: "is this a Proxmox VE node?", side: .source)
        }
    }

    /// Runs a program there; what it writes is the result.
    @discardableResult
    func run(_ words: [String], timeout: TimeSpan = patience) async throws -> ProgramResult {
        let result = try await programs.run(ProgramCall(words, timeout: timeout))
        guard result.succeeded else { throw failure(ShellLine.shown(words), result) }
        return result
    }

    private func failure(_ what: String, _ result: ProgramResult) -> Failure {
        var failure = result.failure("\(what) on \(address)", side: .target)
        if failure.cause == nil, !result.text.isEmpty {
            failure.cause = printable(result.text.utf8.suffix(300))
        }
        return failure
    }

    /// The programs of another node of the same cluster: this one's, by way of the `ssh` that the
    /// cluster keeps between its nodes.
    func programs(of member: ProxmoxCluster.Member) -> any ProgramRunner {
        member.isHere ? programs : MemberPrograms(programs: programs, member: member)
    }
}

/// Runs programs on another node of a cluster, as the cluster itself does.
private struct MemberPrograms: ProgramRunner {
    let programs: any ProgramRunner
    let member: ProxmoxCluster.Member

    func run(_ call: ProgramCall) async throws -> ProgramResult {
        var call = call
        call.words =
            [
                "ssh", "-T", "-e", "none", "-o", "BatchMode=yes", "-o",
                "HostKeyAlias=\(member.name)", "-o",
                "UserKnownHostsFile=/etc/pve/nodes/\(member.name)/ssh_known_hosts", "-o",
                "GlobalKnownHostsFile=none", "root@\(member.address)", "--",
            ] + [call.words.map(SSHPrograms.quote).joined(separator: " ")]
        return try await programs.run(call)
    }
}

/// Words for people.
private enum ShellLine {
    static func shown(_ words: [String]) -> String {
        words.prefix(4).map { printable($0.utf8) }.joined(separator: " ")
    }
}

extension JSONValue {
    /// A whole number, however the server has put it: it is Perl.
    var looseInteger: Int64? { integer ?? string.flatMap { Int64($0) } }
    /// True for true, 1 and "1".
    var looseFlag: Bool { bool ?? (looseInteger.map { $0 != 0 } ?? false) }
    /// A text; a number as its digits.
    var looseText: String? { string ?? integer.map { "\($0)" } }
}
