import CLinux
import Engine
import Glibc
import Model
import Workloads

/// Compares what a plan writes with the room that its file systems have.
struct SpaceCheck {
    let plan: RecoveryPlan
    let groups: [RecoveryRun.Group]
    let run: RecoveryRun

    /// Findings about room on disk have this name: no step makes it.
    static let findingName = PreflightFinding.room

    private struct FileSystemRoom {
        var path: String
        var free: UInt64
        var wanted: UInt64
        var services: Set<ServiceName>
        /// How much of each snapshot goes there.
        var snapshots: [SnapshotID: UInt64]
    }

    func findings() async -> [PlanFinding] {
        var rooms: [UInt64: FileSystemRoom] = [:]
        for group in groups {
            let places = (try? await run.places(of: group)) ?? [:]
            for step in group.steps where step.bytes.bytes > 0 {
                guard let path = places[step.id] else { continue }
                let found = try? await BlockingPool.shared.run { Self.room(at: path) }
                guard let (device, free) = found ?? nil else { continue }
                var room =
                    rooms[device]
                    ?? FileSystemRoom(
                        path: path, free: free, wanted: 0, services: [], snapshots: [:])
                room.wanted += step.bytes.bytes
                room.services.insert(group.replay.service)
                room.snapshots[group.replay.snapshot, default: 0] += step.bytes.bytes
                rooms[device] = room
            }
        }
        var findings: [PlanFinding] = []
        for room in rooms.values.sorted(by: { $0.path < $1.path }) where room.wanted > room.free {
            findings += await finding(room)
        }
        return findings
    }

    /// Holes take no room: only where that is not enough either, it cannot go well.
    private func finding(_ room: FileSystemRoom) async -> [PlanFinding] {
        var least: UInt64 = 0
        var isExact = true
        for (id, wanted) in room.snapshots {
            guard let source = try? await run.sources.source(id) as? any SurveyedSource,
                wanted >= Self.data(of: source.snapshot),
                let survey = try? await source.survey(until: .now + .seconds(10)), survey.isWhole
            else {
                // Only a part of it goes there, or is still to come: what that is without holes, the
                // whole does not tell.
                isExact = false
                continue
            }
            least += min(survey.bytes, wanted)
        }
        let shown = printable(ExistingPath.deepest(of: room.path).utf8)
        let (wanted, free) = (ByteCount(min(room.wanted, least)), ByteCount(room.free))
        if isExact, least <= room.free { return [] }
        let service = room.services.count == 1 ? room.services.first : nil
        guard isExact || least > room.free else {
            return [
                PlanFinding(
                    .warning, service: service,
                    "\(shown) has \(free) free, for up to \(ByteCount(room.wanted))",
                    hint: "it fits only if enough of that is holes in files")
            ]
        }
        return [
            PlanFinding(
                .blocker, service: service,
                "\(shown) has \(free) free, and \(wanted) are to be written",
                hint: "make room there, or bring back fewer services", name: Self.findingName)
        ]
    }

    private static func data(of snapshot: SnapshotRecord) -> UInt64 {
        snapshot.parts.filter { $0.kind != .document }.reduce(0) { $0 + $1.bytes.bytes }
    }

    /// The file system that will hold a path, and what is free on it.
    private static func room(at path: String) -> (device: UInt64, free: UInt64)? {
        let existing = ExistingPath.deepest(of: path)
        var status = stat()
        var room = statvfs()
        guard stat(existing, &status) == 0, statvfs(existing, &room) == 0 else { return nil }
        return (UInt64(status.st_dev), UInt64(room.f_bavail) * UInt64(room.f_frsize))
    }
}
