import CLinux
import Engine
import Glibc
import Model

extension MachineFiles {
    /// Runs `body` with a place on this machine where the file or directory `path` can be read: what
    /// lies on another machine is read there by GNU tar and copied here for so long.
    ///
    /// - Parameters:
    ///   - path: Absolute, without links.
    ///   - options: What of a directory is wanted; patterns are left to the one who reads the copy.
    /// - Returns: What `body` returned, and what the other machine's tar complained about.
    func reading<Value>(
        _ path: String, isFile: Bool, _ options: TreeCaptureOptions = TreeCaptureOptions(),
        _ body: (_ place: String, _ options: TreeCaptureOptions) async throws -> Value
    ) async throws -> (value: Value, omissions: [String]) {
        guard let far = farPrograms else { return (try await body(path, options), []) }
        guard geteuid() == 0 else {
            throw Failure(
                .failed, "files of \(far.destination) are copied here with their owners",
                hint: "run dr as root", side: .local)
        }
        let copy = try await BlockingPool.shared.run { try Self.makeScratch() }
        func remove() async {
            await Task {
                _ = try? await BlockingPool.shared.run { try TreeRemoval.remove(copy) }
            }.value
        }
        do {
            let omissions = try await fetch(path, isFile: isFile, options, from: far, to: copy)
            let name = path.split(separator: "/").last.map(String.init) ?? ""
            var options = options
            options.name = path
            // The copy is one file system, whatever was mounted there.
            options.oneFileSystem = true
            let value = try await body(isFile ? "\(copy)/\(name)" : copy, options)
            await remove()
            return (value, omissions)
        } catch {
            await remove()
            throw error
        }
    }

    private func fetch(
        _ path: String, isFile: Bool, _ options: TreeCaptureOptions, from far: SSHPrograms,
        to copy: String
    ) async throws -> [String] {
        var words = [
            "tar", "--create", "--format=pax", "--sparse", "--xattrs", "--acls",
            "--numeric-owner", "--warning=no-file-ignored",
        ]
        if options.oneFileSystem { words.append("--one-file-system") }
        // Whole directories that are left out need not travel.
        for pattern in options.exclude where pattern.hasPrefix(path + "/") {
            guard pattern.hasSuffix("/**"),
                !pattern.dropLast(3).contains(where: { "*?[\\".contains($0) })
            else { continue }
            let rest = pattern.dropFirst(path.count).dropLast(3)
            words += ["--anchored", "--wildcards", "--exclude=.\(rest)/*"]
        }
        if isFile {
            let name = path.split(separator: "/").last.map(String.init) ?? ""
            let parent = "/" + path.split(separator: "/").dropLast().joined(separator: "/")
            words += ["-C", parent, "--", "./" + name]
        } else {
            words += ["-C", path, "--", "."]
        }
        let pipe: Pipe
        do throws(SystemError) { pipe = try Pipe() } catch { throw error.failure(side: .local) }
        let near = nearPrograms
        let call = ProgramCall(words, output: pipe.writer)
        async let sent: ProgramResult = {
            defer { pipe.closeWriter() }
            return try await far.run(call)
        }()
        async let taken: ProgramResult = {
            defer { pipe.closeReader() }
            return try await near.run(
                ProgramCall(
                    [
                        "tar", "--extract", "--preserve-permissions", "--same-owner", "--xattrs",
                        "--xattrs-include=*", "--acls", "--numeric-owner", "-C", copy,
                    ], input: pipe.reader))
        }()
        let (farResult, nearResult) = (try await sent, try await taken)
        // Whoever writes into a pipe that is not read any more only repeats what went wrong here.
        if farResult.status > 1, nearResult.succeeded || !Self.isBrokenPipe(farResult) {
            throw farResult.failure(
                "reading \(printable(path.utf8)) on \(far.destination)", side: .source,
                hint: farResult.errorText.contains("unrecognized option")
                    ? "GNU tar is needed there" : nil)
        }
        guard nearResult.succeeded else {
            throw nearResult.failure("tar, unpacking on this machine,", side: .local)
        }
        // 1 is tar's own for files that changed or vanished while they were read.
        guard farResult.status == 1 else { return [] }
        return farResult.errorText.split(whereSeparator: \.isNewline).prefix(10).map {
            printable($0.utf8)
        }
    }

    private static func isBrokenPipe(_ result: ProgramResult) -> Bool {
        result.status == 128 + SIGPIPE || result.errorText.contains("Broken pipe")
            || result.errorText.contains("Wrote only")
    }

    private static func makeScratch() throws -> String {
        let parent = getenv("TMPDIR").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        var template = Array("\(parent ?? "/var/tmp")/.dr-fetch-\(getpid())-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw SystemError.last("mkdtemp", parent ?? "/var/tmp").failure(side: .local)
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
