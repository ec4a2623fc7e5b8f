import CLinux
import Engine
import Glibc
import Model

/// Writes guests of a snapshot into a directory: what is no disk as it is, disks in the wanted form.
struct GuestImages: Sendable {
    let source: any ReplaySource
    let directory: String
    let form: ProxmoxSpecification.ImageForm
    let programs: any ProgramRunner
    /// Nil where nothing is written.
    var context: WorkloadContext?

    private static let convert = "convert:"
    private static let archive = "archive:"

    private var plain: DirectoryReplay {
        DirectoryReplay(source: source, directory: directory, context: context)
    }
    private var base: String { ReplayDirectory.path(directory, for: source.snapshot) }

    func steps() async throws -> [ReplayStep] {
        let all = try plain.steps()
        if form == .raw { return all }
        let disks = source.snapshot.parts.filter { $0.kind == .disk }
        var steps = zip(source.snapshot.parts, all).filter { $0.0.kind != .disk }.map { $0.1 }
        switch form {
        case .raw: break
        case .qcow2:
            steps += disks.map { part in
                let path = "\(base)/\(Self.stem(part.name)).qcow2"
                return ReplayStep(
                    id: Self.convert + part.name, title: "write \(printable(path.utf8))",
                    bytes: part.bytes, phase: .data, makes: ["path\(path)"])
            }
        case .vma:
            for guest in try await SnapshotGuest.all(in: source) where guest.record.kind == .qemu {
                let path = "\(base)/\(guest.prefix.dropLast()).vma"
                steps.append(
                    ReplayStep(
                        id: "\(Self.archive)\(guest.record.number)",
                        title: "write \(printable(path.utf8))",
                        bytes: guest.bytes(in: source.snapshot), phase: .data,
                        makes: ["path\(path)"]))
            }
        }
        return steps
    }

    func findings(_ steps: [ReplayStep]) async throws -> [PreflightFinding] {
        var findings: [PreflightFinding] = []
        for name in steps.flatMap(\.makes) {
            let path = String(name.dropFirst("path".count))
            guard access(path, F_OK) == 0 else { continue }
            findings.append(
                PreflightFinding(.conflict, "\(printable(path.utf8)) exists already", name: name))
        }
        if form == .qcow2 {
            let found = try? await programs.run(
                ProgramCall(["qemu-img", "--version"], timeout: TimeSpan(seconds: 30)))
            if found?.succeeded != true {
                findings.append(
                    PreflightFinding(
                        .blocker, "qcow2 images are made by qemu-img, which is not installed",
                        hint: "install qemu-utils, or set images: raw"))
            }
        }
        return findings
    }

    func perform(_ step: ReplayStep) async throws -> ReplayOutcome {
        if step.id.hasPrefix(Self.convert) {
            return try await convert(
                String(step.id.dropFirst(Self.convert.count)), step.makes.first ?? "")
        }
        guard step.id.hasPrefix(Self.archive) else { return try await plain.perform(step) }
        let number = Int(step.id.dropFirst(Self.archive.count))
        guard let name = step.makes.first,
            let guest = try await SnapshotGuest.all(in: source).first(where: {
                $0.record.number == number && $0.record.kind == .qemu
            })
        else { throw Failure(.failed, "no step of this snapshot: \(printable(step.id.utf8))") }
        let rebuild = VMARebuild(source: source, guest: guest, isolation: nil)
        let bytes = try await file(name).write(
            mode: 0o644, replace: context?.replace ?? false,
            claim: context?.claim(name) ?? .unrecorded
        ) { try await rebuild.write(to: $0) }
        return ReplayOutcome(bytes: ByteCount(bytes))
    }

    /// By way of a raw image beside it, which has holes and goes away again.
    private func convert(_ part: String, _ name: String) async throws -> ReplayOutcome {
        let target = file(name)
        let raw = target.path + ".raw.dr-restoring"
        unlink(raw)
        defer { unlink(raw) }
        let bytes = try await ReplayedFile(path: raw).write(part, from: source, replace: true)
        let programs = programs
        try await target.write(
            mode: 0o644, replace: context?.replace ?? false,
            claim: context?.claim(name) ?? .unrecorded
        ) { _ in
            let result = try await programs.run(
                ProgramCall([
                    "qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, target.temporary,
                ]))
            guard result.succeeded else { throw result.failure("qemu-img", side: .target) }
            return bytes
        }
        return ReplayOutcome(bytes: ByteCount(bytes))
    }

    private func file(_ name: String) -> ReplayedFile {
        ReplayedFile(path: String(name.dropFirst("path".count)))
    }

    private static func stem(_ name: String) -> String {
        name.hasSuffix(".raw") ? String(name.dropLast(4)) : name
    }
}
