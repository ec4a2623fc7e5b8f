import CLinux
import Engine
import Glibc
import Model

/// The files of a machine: of this one, or of another that `ssh` reaches.
///
/// What lies on another machine is looked at and changed by its own programs: a POSIX shell, the GNU
/// core utilities and GNU `tar`.
struct MachineFiles: Sendable {
    /// The attribute of a part that was captured on another machine: its address.
    static let hostKey = "host"

    /// Nil for this machine.
    let destination: SSHDestination?
    private let remote: SSHPrograms?
    private let programs: any ProgramRunner

    /// - Parameter destination: Nil for this machine.
    init(of destination: SSHDestination?, programs: any ProgramRunner = LocalPrograms()) {
        self.destination = destination
        self.programs = programs
        remote = destination.map { SSHPrograms(on: $0, local: programs) }
    }

    /// - Parameter host: As `host:` has it, `ssh://user@host`; nil for this machine.
    init(host: String?) throws { self.init(of: try host.map(SSHDestination.init(address:))) }

    /// What stands before a name of this machine to tell it from the same name of another; empty for
    /// this one.
    var scope: String { destination.map { "ssh://\($0) " } ?? "" }

    // MARK: Looking

    /// The mount table.
    func mounts() async throws -> [MountedFileSystem] {
        guard let remote else { return try MountedFileSystem.all() }
        return MountedFileSystem.parse(
            try await Self.ask(remote, "cat /proc/self/mountinfo", []).text)
    }

    /// Looks at a path.
    func look(at path: String, mounts: [MountedFileSystem]) async throws -> MountRules.Source {
        guard let remote else { return try MountRules.look(at: path, mounts: mounts) }
        let result = try await Self.ask(
            remote, #"readlink -m -- "$1"; stat -L -c %F -- "$1" 2>/dev/null || echo missing"#,
            [path])
        let lines = result.text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 2, lines[0].hasPrefix("/") else {
            throw Failure(
                .failed,
                "\(remote.destination): what lies at \(printable(path.utf8)) cannot be told",
                side: .source)
        }
        let kind: MountRules.Source.Kind =
            switch lines[1] {
            case "directory": .directory
            case "regular file", "regular empty file": .file
            case "missing": .missing
            default: .special
            }
        let resolved = String(lines[0])
        return MountRules.Source(
            path: resolved, kind: kind,
            fileSystem: MountedFileSystem.holding(resolved, in: mounts)?.kind ?? .local)
    }

    /// Whether something has the path.
    func exists(_ path: String) async throws -> Bool {
        guard let remote else { return access(path, F_OK) == 0 }
        return try await Self.ask(remote, #"test -e "$1" && echo yes; :"#, [path]).text
            .hasPrefix("yes")
    }

    /// Who owns a directory, and its mode; nil for what is none.
    func owner(of path: String) async throws -> ContainerDefinition.DirectoryOwner? {
        guard let remote else {
            var status = stat()
            guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return nil }
            return ContainerDefinition.DirectoryOwner(
                userID: status.st_uid, groupID: status.st_gid, mode: status.st_mode & 0o7777)
        }
        let words = try await Self.ask(
            remote, #"test -d "$1" && stat -L -c '%u %g %a' -- "$1"; :"#, [path]
        ).text.split(whereSeparator: \.isWhitespace)
        guard words.count == 3, let user = UInt32(words[0]), let group = UInt32(words[1]),
            let mode = UInt32(words[2], radix: 8)
        else { return nil }
        return ContainerDefinition.DirectoryOwner(userID: user, groupID: group, mode: mode)
    }

    /// What lies where something is to be put.
    func place(at path: String) async throws -> (state: PlaceState, isMountPoint: Bool) {
        guard let remote else {
            return try await BlockingPool.shared.run {
                do throws(SystemError) {
                    return (try PlaceState.of(path), PlaceState.isMountPoint(path))
                } catch { throw error.failure(side: .target) }
            }
        }
        let script = #"""
            if [ ! -e "$1" ] && [ ! -L "$1" ]; then echo missing; exit; fi; m=no; s=taken; \#
            if [ -d "$1" ] && [ ! -L "$1" ]; then \#
            [ "$(stat -c %d -- "$1")" = "$(stat -c %d -- "$1/..")" ] || m=mount; \#
            [ -n "$(ls -A -- "$1" | head -n 1)" ] || s=empty; fi; echo "$s $m"
            """#
        let words = try await Self.ask(remote, script, [path]).text.split(
            whereSeparator: \.isWhitespace)
        let isMountPoint = words.last == "mount"
        switch words.first {
        case "missing": return (.missing, false)
        case "empty": return (.empty(isMountPoint: isMountPoint), isMountPoint)
        default: return (.taken, isMountPoint)
        }
    }

    // MARK: Changing

    /// Removes a directory and everything in it, crossing no file system.
    func remove(_ path: String) async throws {
        guard let remote else {
            return try await BlockingPool.shared.run { try TreeRemoval.remove(path) }
        }
        try await Self.ask(remote, #"rm -rf --one-file-system -- "$1""#, [path], side: .target)
    }

    /// Makes a directory and what is missing above it.
    func makeDirectory(
        _ path: String, owner: ContainerDefinition.DirectoryOwner? = nil
    ) async throws {
        guard let remote else {
            return try await BlockingPool.shared.run { try Self.makeHere(path, owner) }
        }
        var script = #"mkdir -p -- "$1""#
        if let owner {
            script += " && chown \(owner.userID):\(owner.groupID) -- \"$1\""
            script += " && chmod \(String(owner.mode & 0o7777, radix: 8)) -- \"$1\""
        }
        try await Self.ask(remote, script, [path], side: .target)
    }

    private static func makeHere(
        _ path: String, _ owner: ContainerDefinition.DirectoryOwner?
    ) throws {
        do {
            try FileSystem().makeDirectories(path, mode: 0o755)
            guard let owner else { return }
            if chown(path, owner.userID, owner.groupID) != 0 {
                throw SystemError.last("chown", path)
            }
            if chmod(path, owner.mode) != 0 { throw SystemError.last("chmod", path) }
        } catch let error as SystemError { throw error.failure(side: .target) }
    }

    /// Renames a directory, over an empty one at most.
    func rename(_ path: String, to other: String) async throws {
        guard let remote else {
            return try await BlockingPool.shared.run {
                do throws(SystemError) {
                    try FileSystem().rename(path, to: other)
                } catch { throw error.failure(side: .target) }
            }
        }
        guard try await Self.move(path, to: other, on: remote) else {
            throw PlaceState.failure(other)
        }
    }

    /// Renames on another machine; what has the name already stays.
    ///
    /// - Returns: False when something has the name, and is no empty directory.
    static func move(_ path: String, to other: String, on remote: SSHPrograms) async throws -> Bool
    {
        let script = #"""
            rmdir -- "$2" 2>/dev/null; mv -nT -- "$1" "$2"; \#
            if [ ! -e "$1" ] && [ ! -L "$1" ]; then \#
            sync -f -- "$2" 2>/dev/null || sync; echo moved; \#
            elif [ -e "$2" ] || [ -L "$2" ]; then echo taken; else exit 1; fi
            """#
        return try await ask(remote, script, [path, other], side: .target).text.hasPrefix("moved")
    }

    // MARK: Programs there

    /// Runs a script of the other machine's shell; what it gets as arguments is `$1` and so on.
    @discardableResult
    static func ask(
        _ remote: SSHPrograms, _ script: String, _ arguments: [String],
        side: Failure.Side = .source
    ) async throws -> ProgramResult {
        let result = try await remote.run(
            ProgramCall(
                ["sh", "-c", script, "dr"] + arguments, timeout: TimeSpan(seconds: 600)))
        guard result.succeeded else {
            throw result.failure("on \(remote.destination)", side: side)
        }
        return result
    }

    /// Where programs run that work on its files; nil for this machine.
    var farPrograms: SSHPrograms? { remote }
    var nearPrograms: any ProgramRunner { programs }
}

extension DockerEngine {
    /// The files of its machine.
    var files: MachineFiles { get throws { MachineFiles(of: try address.destination) } }
}

extension DockerAddress {
    /// The machine of an Engine that `ssh` reaches; nil for one of this machine.
    var destination: SSHDestination? {
        get throws {
            guard case .ssh(let text) = self else { return nil }
            return try SSHDestination(parsing: String(text.prefix { $0 != "/" }))
        }
    }

    /// The Engine's socket on its own machine.
    var remoteSocket: String {
        guard case .ssh(let text) = self, let slash = text.firstIndex(of: "/"),
            text[slash...].count > 1
        else { return "/var/run/docker.sock" }
        return String(text[slash...])
    }
}
