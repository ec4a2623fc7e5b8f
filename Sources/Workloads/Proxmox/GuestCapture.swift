import Engine
import Model

/// Dumps guests of a cluster, each by `vzdump` on the node where it lives, straight into a sink.
struct GuestCapture: Sendable {
    let specification: ProxmoxSpecification
    let sink: any CaptureSink
    let programs: any ProgramRunner
    let report: @Sendable (String) -> Void

    /// What one dump gave.
    private struct Dump: Sendable {
        var configuration: [UInt8]
        var devices: [VMAHeader.Device] = []
        var documents: [(name: String, bytes: [UInt8])] = []
        var omissions: [String] = []
    }

    func capture() async throws -> CaptureOutcome {
        let entry = try ProxmoxNode(ssh: specification.ssh, programs: programs)
        let cluster = try await ProxmoxCluster.look(from: entry)
        let guests = try cluster.guests(specification.subject)
        let resources = try? await entry.get("/cluster/ha/resources").array
        var outcome = CaptureOutcome(consistency: .application)
        if resources == nil {
            outcome.notes.append("what high availability wants of its guests is not known")
        }
        for guest in guests {
            guard let member = cluster.member(guest.node), member.isOnline else {
                throw Failure(
                    .failed, "guest \(guest.number) lives on \(guest.node), which is offline",
                    side: .source, isTransient: true)
            }
            let (dump, log) = try await NodeTurns.shared.taking(guest.node) {
                try await self.dump(guest, on: member, cluster)
            }
            let configuration = GuestConfiguration(dump.configuration)
            var record = GuestRecord(number: guest.number, kind: guest.kind, configuration)
            if !guest.name.isEmpty { record.name = guest.name }
            record.ssh = specification.ssh
            record.node = guest.node
            record.pool = guest.pool
            record.tags = guest.tags
            record.status = guest.status
            let resource = resources?.first {
                $0["sid"].string == "\(guest.kind.prefix):\(guest.number)"
            }
            record.resource = resource.map { $0["state"].string ?? "started" }
            record.add(dump.devices, of: configuration)
            try await GuestDocuments(sink: sink, record: record).store(
                dump.documents + Self.configurationDocument(guest.kind, dump.configuration))
            outcome.add(log, of: record)
            outcome.omissions += dump.omissions
            outcome.notes += Self.leftOut(configuration, record)
        }
        return outcome
    }

    private static func configurationDocument(
        _ kind: ProxmoxCluster.GuestKind, _ bytes: [UInt8]
    ) -> [(name: String, bytes: [UInt8])] {
        let name =
            kind == .qemu ? VMACapture.configurationName : SnapshotGuest.containerConfiguration
        return [(name, bytes)]
    }

    /// What the guest has and its dump does not hold.
    static func leftOut(_ configuration: GuestConfiguration, _ record: GuestRecord) -> [String] {
        switch record.kind {
        case .qemu:
            let dumped = Set(configuration.dumped.map(\.key))
            return configuration.disks.filter {
                !dumped.contains($0.key) && !$0.isMedium && !$0.place.contains("cloudinit")
            }.map { "\(record.title): \($0.key) is excluded from its dumps (backup=0)" }
        case .lxc:
            return configuration.mounts.filter {
                $0.key != "rootfs" && ($0.storage == nil || $0.options["backup"] != "1")
            }.map {
                "\(record.title): \($0.key) at \(printable(($0.options["mp"] ?? "").utf8)) is not "
                    + "part of its dumps"
            }
        }
    }

    private func dump(
        _ guest: ProxmoxCluster.Guest, on member: ProxmoxCluster.Member, _ cluster: ProxmoxCluster
    ) async throws -> (Dump, VzdumpLog) {
        report("dumping \(guest.kind.title) \(guest.number) on \(member.name)")
        let call = ProgramCall(words(guest, cluster))
        let streams = ProgramStreams(programs: cluster.entry.programs(of: member))
        let prefix = SnapshotGuest.prefix(guest.kind, guest.number)
        let (sink, title) = (sink, "guest \(guest.number)")
        let (taken, result) = try await streams.read(call) { descriptor -> Dump in
            switch guest.kind {
            case .qemu: try await Self.machine(descriptor, prefix, into: sink)
            case .lxc: try await Self.container(descriptor, prefix, title, into: sink)
            }
        }
        let log = VzdumpLog(result.errorText)
        return (try judge(taken, result, log, guest), log)
    }

    /// Every option is given: what is left out the node's `/etc/vzdump.conf` would decide.
    private func words(_ guest: ProxmoxCluster.Guest, _ cluster: ProxmoxCluster) -> [String] {
        var words = [
            "vzdump", "\(guest.number)", "--stdout", "--mode", specification.mode.rawValue,
            "--compress", "0", "--dumpdir", "/var/tmp", "--bwlimit",
            "\(specification.bandwidth)", "--ionice", "7", "--lockwait", "180", "--stopwait", "10",
            "--remove", "0", "--stdexcludes", "1",
        ]
        if cluster.isAtLeast(8, 2) {
            words += ["--notification-mode", "legacy-sendmail"]
            if guest.kind == .qemu {
                let fleecing = specification.fleecing.map { "enabled=1,storage=\($0)" }
                words += ["--fleecing", fleecing ?? "enabled=0"]
            }
        }
        return words
    }

    private static func machine(
        _ descriptor: Int32, _ prefix: String, into sink: any CaptureSink
    ) async throws -> Dump {
        let capture = VMACapture(prefix: prefix)
        try await sink.disks(from: descriptor, by: capture)
        guard let header = capture.header,
            let configuration = header.configuration(VMACapture.configurationName)
        else { throw Failure(.failed, "the VMA export was not read to its end", side: .local) }
        var dump = Dump(configuration: configuration, devices: header.devices)
        dump.documents = header.configurations.filter { $0.name != VMACapture.configurationName }
            .map { ($0.name, $0.data) }
        return dump
    }

    private static func container(
        _ descriptor: Int32, _ prefix: String, _ title: String, into sink: any CaptureSink
    ) async throws -> Dump {
        let archive = try await ContainerArchive.store(descriptor, prefix, title, into: sink)
        var dump = Dump(configuration: archive.configuration)
        dump.documents = archive.documents
        dump.omissions = archive.omissions
        return dump
    }

    /// A dump counts when vzdump ended well, complained of nothing, and the whole of it came.
    private func judge(
        _ taken: Result<Dump, any Error>, _ result: ProgramResult, _ log: VzdumpLog,
        _ guest: ProxmoxCluster.Guest
    ) throws -> Dump {
        let what = "vzdump of guest \(guest.number) on \(guest.node)"
        if case .failure(let error) = taken {
            let failure = Failure(wrapping: error)
            let isTheirs = failure.side == .source && !(error is CancellationError)
            // Whoever is not read to the end only repeats what went wrong here.
            let isEcho = (log.errors + [result.errorText]).contains { $0.contains("Broken pipe") }
            guard isTheirs, !isEcho else { throw error }
        }
        guard result.succeeded, log.errors.isEmpty else {
            var failure = result.failure(what, side: .source)
            if let error = log.errors.last {
                failure.cause = error
                if result.succeeded {
                    failure.message = "\(what) ended well, but not without errors"
                }
                if error.contains("is locked") {
                    failure.hint =
                        "wait for what holds the lock; if nothing does: "
                        + "\(guest.kind.program) unlock \(guest.number)"
                }
            }
            throw failure
        }
        do { return try taken.get() } catch {
            guard Failure(wrapping: error).description.contains("it is empty") else { throw error }
            throw Failure(
                .failed, "\(what) said that all is well, and wrote nothing",
                hint: "has the guest moved to another node meanwhile? run the backup again",
                side: .source, isTransient: true)
        }
    }
}

/// Stores what is known of a guest beside its data.
struct GuestDocuments: Sendable {
    let sink: any CaptureSink
    let record: GuestRecord

    func store(_ documents: [(name: String, bytes: [UInt8])]) async throws {
        let prefix = SnapshotGuest.prefix(record.kind, record.number)
        for (name, bytes) in documents {
            try await sink.document(prefix + name, bytes, attributes: [:])
        }
        try await sink.document(
            prefix + GuestRecord.document, try StableJSON.encodePretty(record), attributes: [:])
    }
}

/// The archive of a container, taken apart.
struct ContainerArchive: Sendable {
    var configuration: [UInt8]
    var documents: [(name: String, bytes: [UInt8])] = []
    var omissions: [String] = []

    /// Stores its tree, and gives back its configuration.
    ///
    /// - Parameter title: For errors.
    static func store(
        _ descriptor: Int32, _ prefix: String, _ title: String, into sink: any CaptureSink
    ) async throws -> ContainerArchive {
        let directory = SnapshotGuest.containerDirectory
        let names = [SnapshotGuest.containerConfiguration, SnapshotGuest.containerFirewall]
        let summary = try await sink.archive(
            prefix + SnapshotGuest.root, from: descriptor, aside: names.map { directory + $0 },
            attributes: [:])
        guard let configuration = summary.aside[directory + names[0]] else {
            throw Failure(
                .failed, "the archive of \(title) holds no \(directory + names[0])", side: .source)
        }
        var archive = ContainerArchive(configuration: configuration)
        // An empty one stands for none.
        if let firewall = summary.aside[directory + names[1]], !firewall.isEmpty {
            archive.documents.append((names[1], firewall))
        }
        archive.omissions = summary.tree.omissions
        return archive
    }
}

extension CaptureOutcome {
    /// What a guest's log says of its dump; the least consistent guest decides.
    mutating func add(_ log: VzdumpLog, of record: GuestRecord) {
        consistency = min(consistency, log.consistency)
        if let reason = log.reason { notes.append("\(record.title): \(reason)") }
        notes += log.warnings.map { "\(record.title): \($0)" }
    }
}
