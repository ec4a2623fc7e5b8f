public import Engine
public import Model

/// Captures virtual machines and containers of Proxmox VE, and brings them back.
///
/// Guests are dumped by `vzdump` on the node where they live and restored by `qmrestore` and
/// `pct restore`, all of it through pipes: nothing is written to the nodes but the guests.
public struct ProxmoxDriver: WorkloadDriver {
    public let kind = WorkloadKind.proxmox
    let programs: any ProgramRunner

    /// - Parameter programs: Where `ssh` and `qemu-img` run, and `vzdump` where no node is named.
    public init(programs: any ProgramRunner = LocalPrograms()) { self.programs = programs }

    public func capture(
        _ workload: WorkloadSpecification, of service: Service, into sink: any CaptureSink,
        context: WorkloadContext
    ) async throws -> CaptureOutcome {
        guard case .proxmox(let specification) = workload else {
            throw Failure(.usage, "service \(service.name): no guest to capture")
        }
        if let directory = specification.exports {
            guard case .guest(let number) = specification.subject else {
                throw Failure(
                    .usage, "service \(service.name): exports are found by a guest's number")
            }
            return try await ExportCapture(directory: directory, number: number, sink: sink)
                .capture()
        }
        return try await GuestCapture(
            specification: specification, sink: sink, programs: programs, report: context.report
        ).capture()
    }

    public func replaySteps(
        for source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [ReplayStep] {
        let specification = specification(of: source, service)
        if case .directory(let path) = target {
            return try await GuestImages(
                source: source, directory: path, form: specification?.images ?? .raw,
                programs: programs
            ).steps()
        }
        let replay = try await self.replay(source, service, target)
        // What runs in a cluster under its own number must not be touched for a copy elsewhere.
        if target.place != nil, replay.guests.isEmpty { return [] }
        return try replay.steps()
    }

    public func omissions(
        from source: any ReplaySource, service: Service, target: ReplayTarget
    ) async throws -> [String] {
        guard let place = target.place else { return [] }
        let drilled = try await replay(source, service, target).guests.map(\.record.number)
        return try await SnapshotGuest.all(in: source).filter {
            !drilled.contains($0.record.number)
        }.map {
            if place.isolation != nil {
                return "\($0.record.title): drill: {guests: …} gives it no number, or it was taken "
                    + "from a file"
            }
            return "\($0.record.title): target \(place.name) has no Proxmox VE cluster;"
                + " restore: {offset: …} gives copies other numbers"
        }
    }

    public func preflight(
        _ steps: [ReplayStep], from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> [PreflightFinding] {
        if case .directory(let path) = target {
            let form = specification(of: source, service)?.images ?? .raw
            return try await GuestImages(
                source: source, directory: path, form: form, programs: programs
            ).findings(steps)
        }
        return try await replay(source, service, target).findings(steps, context)
    }

    public func perform(
        _ step: ReplayStep, from source: any ReplaySource, service: Service,
        target: ReplayTarget, context: WorkloadContext
    ) async throws -> ReplayOutcome {
        if case .directory(let path) = target {
            let form = specification(of: source, service)?.images ?? .raw
            return try await GuestImages(
                source: source, directory: path, form: form, programs: programs, context: context
            ).perform(step)
        }
        return try await replay(source, service, target).perform(step, context)
    }

    private func replay(
        _ source: any ReplaySource, _ service: Service, _ target: ReplayTarget
    ) async throws -> GuestReplay {
        let specification = specification(of: source, service)
        var guests = try await SnapshotGuest.all(in: source)
        let ssh = Self.way(guests, specification)
        var placement = specification?.restore ?? ProxmoxPlacement()
        if let place = target.place {
            let copies = (place.isolation?.guests ?? []).filter { $0.ssh == ssh }
            let numbers = Dictionary(copies.map { ($0.original, $0.number) }) { first, _ in first }
            guests = guests.filter { numbers[$0.record.number] != nil && $0.record.status != nil }
            placement.drilled = numbers
            placement.unique = true
            placement.start = true
        }
        return GuestReplay(
            source: source, guests: guests, placement: placement,
            entry: try ProxmoxNode(ssh: ssh, programs: programs),
            isolation: target.place?.isolation)
    }

    /// Without a configuration the way in is that of the night.
    private static func way(
        _ guests: [SnapshotGuest], _ specification: ProxmoxSpecification?
    ) -> String? {
        specification.map(\.ssh) ?? guests.compactMap(\.record.ssh).first
    }

    /// The guests of a snapshot that a drill can make copies of, still without numbers: all but those
    /// that were taken from files.
    public func guests(
        from source: any ReplaySource, service: Service
    ) async throws -> [DrillGuest] {
        let guests = try await SnapshotGuest.all(in: source)
        let ssh = Self.way(guests, specification(of: source, service))
        return guests.filter { $0.record.status != nil }.map {
            DrillGuest(ssh: ssh, original: $0.record.number, number: 0)
        }
    }

    /// What the configuration says today of the workload of a snapshot; nil when it is not there.
    private func specification(
        of source: any ReplaySource, _ service: Service
    ) -> ProxmoxSpecification? {
        for case .proxmox(let specification) in service.workloads
        where WorkloadID(service: service.name, kind: .proxmox, name: specification.name)
            == source.snapshot.workload
        {
            return specification
        }
        return nil
    }
}
