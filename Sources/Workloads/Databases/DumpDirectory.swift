import CLinux
import Engine
import Glibc
import Model

/// The parts of a database server's snapshot as files in a directory, one each.
struct DumpDirectory: Sendable {
    private static let prefix = "file:"

    let source: any ReplaySource
    /// Where a part goes.
    let path: @Sendable (SnapshotPart) -> String

    func steps() -> [ReplayStep] {
        source.snapshot.parts.map { part in
            let path = path(part)
            return ReplayStep(
                id: Self.prefix + part.name, title: "write \(printable(path.utf8))",
                bytes: part.bytes, phase: .data, makes: ["path\(path)"])
        }
    }

    /// Files that are there already.
    func findings() async throws -> [PreflightFinding] {
        let paths = source.snapshot.parts.map(path)
        return try await BlockingPool.shared.run {
            paths.filter { access($0, F_OK) == 0 }.map {
                PreflightFinding(.conflict, "\(printable($0.utf8)) exists", name: "path\($0)")
            }
        }
    }

    func perform(_ step: ReplayStep, _ context: WorkloadContext) async throws -> ReplayOutcome {
        let name = String(step.id.dropFirst(Self.prefix.count))
        guard let part = source.snapshot.part(name) else {
            throw Failure(.failed, "the snapshot has no part \(printable(name.utf8))")
        }
        let path = path(part)
        let file = ReplayedFile(path: path)
        let claim = context.claim("path\(path)")
        if part.kind == .stream {
            let bytes = try await file.write(
                name, from: source, replace: context.replace, claim: claim)
            return ReplayOutcome(bytes: ByteCount(bytes))
        }
        let bytes = try await source.document(name)
        try await file.write(bytes, replace: context.replace, claim: claim)
        return ReplayOutcome(bytes: ByteCount(UInt64(bytes.count)))
    }
}
