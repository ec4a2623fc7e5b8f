import Engine
import Model

/// Brings guests of a snapshot back into a cluster.
struct GuestReplay: Sendable {
    let source: any ReplaySource
    let guests: [SnapshotGuest]
    let placement: ProxmoxPlacement
    let entry: ProxmoxNode
    /// The drill that the guests are copies for; nil for a restore.
    let isolation: DrillIsolation?

    /// What a step does to its guest.
    private enum Deed: String, CaseIterable {
        case restore, start, check, resource
    }

    /// How long a guest may take to stop, start, or be removed.
    private static let patience = TimeSpan(seconds: 600)

    /// The name that a guest has in the run's journal.
    func name(of guest: GuestRecord) -> String {
        "guest/\(entry.address)/\(placement.number(of: guest.number))"
    }

    func isStarted(_ guest: GuestRecord) -> Bool {
        placement.start ?? (guest.status.map { $0 == "running" } ?? true || guest.startsWithNode)
    }

    /// What high availability wants of it; a copy is nothing of its own.
    private func resource(_ guest: GuestRecord) -> String? {
        placement.number(of: guest.number) == guest.number ? guest.resource : nil
    }

    func steps() throws -> [ReplayStep] {
        guard !guests.isEmpty else {
            throw Failure(
                .damaged, "snapshot \(source.snapshot.id.short) holds no guest",
                side: .repository)
        }
        return guests.flatMap { guest -> [ReplayStep] in
            let record = guest.record
            func id(_ deed: Deed) -> String { "\(deed.rawValue):\(record.number)" }
            let number = placement.number(of: record.number)
            let renamed = number == record.number ? "" : " as \(number)"
            var steps = [
                ReplayStep(
                    id: id(.restore), title: "restore \(record.title)\(renamed)",
                    bytes: guest.bytes(in: source.snapshot), phase: .data,
                    makes: [name(of: record)])
            ]
            if isStarted(record) {
                var start = ReplayStep(
                    id: id(.start), title: "start \(record.kind.title) \(number)",
                    needs: [id(.restore)], phase: .start)
                var check = ReplayStep(
                    id: id(.check),
                    title: record.hasAgent
                        ? "wait for the guest agent of \(number)" : "wait for \(number) to run",
                    needs: [id(.start)], phase: .check)
                // No order means last, as the nodes themselves have it.
                start.startOrder = record.startup.order ?? .max
                check.startOrder = start.startOrder
                steps += [start, check]
            }
            if let resource = resource(record) {
                steps.append(
                    ReplayStep(
                        id: id(.resource),
                        title: "hand \(number) back to high availability, \(resource)",
                        needs: [steps[steps.count - 1].id], phase: .start, isLast: true))
            }
            return steps
        }
    }

    func perform(_ step: ReplayStep, _ context: WorkloadContext) async throws -> ReplayOutcome {
        let words = step.id.split(separator: ":").map(String.init)
        guard words.count == 2, let deed = Deed(rawValue: words[0]), let number = Int(words[1]),
            let guest = guests.first(where: { $0.record.number == number })
        else { throw Failure(.failed, "no step of this snapshot: \(printable(step.id.utf8))") }
        let cluster = try await ProxmoxCluster.look(from: entry)
        let place = try GuestPlace(
            guest.record, placement: placement, cluster: cluster)
        switch deed {
        case .restore: return try await restore(guest, at: place, context)
        case .start:
            if cluster.guest(place.number)?.status != "running" {
                try await place.control("start", timeout: Self.patience)
            }
        case .check: return try await GuestCheck(place: place, wait: placement.wait).pass()
        case .resource:
            if let wanted = resource(guest.record) { try await place.giveBack(resource: wanted) }
        }
        return ReplayOutcome()
    }

    // MARK: Data

    private func restore(
        _ guest: SnapshotGuest, at place: GuestPlace, _ context: WorkloadContext
    ) async throws -> ReplayOutcome {
        let record = guest.record
        guard place.cluster.isQuorate else { throw GuestPlace.withoutQuorum(entry) }
        let claim = context.claim(name(of: record))
        var outcome = ReplayOutcome()
        let existing = place.cluster.guest(place.number)
        if let existing, !claim.isOwn {
            try await refuse(guest, over: existing, at: place, context)
        }
        var options = options(place)
        if let pool = place.pool {
            if try await place.cluster.pools().contains(pool) {
                options += ["--pool", pool]
            } else {
                outcome.notes.append("there is no pool \(printable(pool.utf8)) to put it into")
            }
        }
        // What high availability manages it would start, or move, half restored.
        let seen = try await place.resource()
        if seen != nil { try await place.set(resource: "ignored") }
        if let existing {
            do {
                outcome.notes += try await place.cluster.remove(
                    existing, isOwn: claim.isOwn, timeout: Self.patience)
            } catch {
                // The guest is still there, and still to be looked after.
                await Task { if let seen { try? await place.giveBack(resource: seen) } }.value
                throw error
            }
            if !claim.isOwn { outcome.notes.append("the guest \(place.number) before was removed") }
        }
        await claim.claim()
        var call: ProgramCall
        let progress = RestoreProgress(context.report)
        let source = source
        let fed: (written: UInt64?, result: ProgramResult)
        let streams = ProgramStreams(programs: place.programs)
        do {
            switch record.kind {
            case .qemu:
                call = ProgramCall(["qmrestore", "-", "\(place.number)"] + options)
                call.heard = progress.hear
                let rebuild = VMARebuild(source: source, guest: guest, isolation: isolation)
                fed = try await streams.feeding(call) { try await rebuild.write(to: $0) }
            case .lxc:
                let container = ContainerRebuild(
                    source: source, guest: guest, isolation: isolation)
                let configuration = GuestConfiguration(
                    try await guest.configurationBytes(in: source))
                let (words, notes) = try container.options(configuration, place)
                outcome.notes += notes
                call = ProgramCall(
                    ["pct", "restore", "\(place.number)", "-"] + words + options)
                call.heard = progress.hear
                fed = try await streams.feeding(call) { try await container.write(to: $0) }
            }
            guard fed.result.succeeded else {
                throw Self.failure(fed.result, record, place)
            }
        } catch {
            // The number may have become somebody else's between the look and the call.
            if Failure(wrapping: error).cause?.contains("already exists") == true {
                await claim.disclaim()
            } else {
                await Task { await place.removeLeftovers(timeout: Self.patience) }.value
            }
            guard let seen, resource(record) == nil, var failure = error as? Failure else {
                throw error
            }
            // No later attempt sees it.
            let known = "high availability had \(place.number) as \(seen): give it back yourself"
            failure.hint = failure.hint.map { "\($0); \(known)" } ?? known
            throw failure
        }
        // What the snapshot knows nothing of has no step of its own.
        if let seen, resource(record) == nil {
            do { try await place.giveBack(resource: seen) } catch {
                outcome.problems.append(
                    "high availability had \(place.number) as \(seen), and does not get it back: "
                        + "\(Failure(wrapping: error).description)")
            }
        }
        outcome.bytes = ByteCount(fed.written ?? 0)
        outcome.notes += Self.warnings(fed.result)
        return outcome
    }

    /// - Throws: `Failure` where a guest that is there must stay.
    private func refuse(
        _ guest: SnapshotGuest, over existing: ProxmoxCluster.Guest, at place: GuestPlace,
        _ context: WorkloadContext
    ) async throws {
        guard context.replace else {
            throw Failure(
                .failed, "guest \(place.number) exists already on \(existing.node)",
                hint: "choose another number, or allow it to be replaced", side: .target)
        }
        let configuration = GuestConfiguration(try await guest.configurationBytes(in: source))
        let removal = GuestRemoval(
            guest: guest, configuration: configuration, existing: existing)
        if let loss = try await removal.losses(in: place.cluster).first {
            throw Failure(.failed, loss, hint: GuestRemoval.hint, side: .target)
        }
    }

    private func options(_ place: GuestPlace) -> [String] {
        var words: [String] = []
        if let storage = placement.storage { words += ["--storage", storage] }
        if place.isUnique { words += ["--unique", "1"] }
        if placement.bandwidth > 0 { words += ["--bwlimit", "\(placement.bandwidth)"] }
        return words
    }

    private static func failure(
        _ result: ProgramResult, _ guest: GuestRecord, _ place: GuestPlace
    ) -> Failure {
        let program = guest.kind == .qemu ? "qmrestore" : "pct restore"
        var failure = result.failure(
            "\(program) of guest \(place.number) on \(place.member.name)", side: .target)
        if failure.cause == nil {
            // Progress is of no interest any more.
            let last = result.text.split(whereSeparator: \.isNewline).filter {
                !$0.hasPrefix("progress ")
            }.suffix(3)
            failure.cause = last.map { printable($0.utf8) }.joined(separator: "; ")
        }
        return failure
    }

    private static func warnings(_ result: ProgramResult) -> [String] {
        (result.text + "\n" + result.errorText).split(whereSeparator: \.isNewline)
            .filter { $0.hasPrefix("WARN") || $0.hasPrefix("warning:") }
            .map { printable($0.utf8) }
    }
}
