import CLinux
import Engine
import Glibc
import Model
import Workloads

/// A disk of this machine that steps write to.
struct TargetDisk: Sendable, Hashable {
    private let device: dev_t

    /// What steps that write to it hold.
    var resource: String { "disk \(dr_major(device)):\(dr_minor(device))" }

    /// The disk that will hold a path; nil when that cannot be told.
    init?(holding path: String) {
        var status = stat()
        guard stat(ExistingPath.deepest(of: path), &status) == 0 else { return nil }
        device = status.st_dev
    }
}

enum ExistingPath {
    /// The deepest part of a path that is there.
    static func deepest(of path: String) -> String {
        var path = path
        while path != "/", access(path, F_OK) != 0 {
            let slash = path.lastIndex(of: "/") ?? path.startIndex
            path = slash == path.startIndex ? "/" : String(path[..<slash])
        }
        return path
    }
}

extension RecoveryRun {
    /// Where steps write, as far as drivers can say; nothing where that limits nothing.
    func disks(without done: Set<String>) async -> [String: TargetDisk] {
        var disks: [String: TargetDisk] = [:]
        guard environment.limits.disk != nil else { return disks }
        for group in groups(without: done) where group.bytes.bytes > 0 {
            guard let places = try? await places(of: group) else { continue }
            for step in group.planned where step.phase == .data {
                guard let own = step.replay?.step, let path = places[own] else { continue }
                disks[step.id] = try? await BlockingPool.shared.run { TargetDisk(holding: path) }
            }
        }
        return disks
    }

    /// Where on this machine the steps of a workload write, by the driver's ids.
    func places(of group: Group) async throws -> [String: String] {
        let source = try await sources.source(group.replay.snapshot)
        return try await environment.driverFor(group.replay.kind).places(
            of: group.steps, from: source, service: service(group.replay.service),
            target: try ReplayTarget(of: plan), context: context)
    }
}
