import CLinux
import Glibc
import Synchronization

/// A scratch directory of one test, and everything else the test must undo.
///
/// What was registered last is undone first, the directory goes at the very end, and all of it
/// happens whether the test passed, failed or threw.
public final class TemporaryDirectory: Sendable {
    /// Absolute, without links, under `TMPDIR`; only this user can enter it.
    public let path: String
    private let endings = Mutex<[@Sendable () async -> Void]>([])

    /// A directory whose `cleanUp` the caller awaits; most tests want `with` instead.
    ///
    /// - Parameter label: Part of the name, for whoever looks at `/tmp`.
    public init(_ label: String = "test") throws {
        let parent = TestEnvironment.variable("TMPDIR") ?? "/tmp"
        guard let resolved = realpath(parent, nil) else {
            throw OutsideProgram.Problem("realpath \(parent)")
        }
        defer { free(resolved) }
        var template = Array("\(String(cString: resolved))/dr-\(label)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw OutsideProgram.Problem("mkdtemp in \(parent)")
        }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Runs `body` with a directory of its own and cleans up after it.
    public static func with<Value>(
        _ label: String = "test", _ body: (TemporaryDirectory) async throws -> Value
    ) async throws -> Value {
        let directory = try TemporaryDirectory(label)
        do {
            let value = try await body(directory)
            await directory.cleanUp()
            return value
        } catch {
            await directory.cleanUp()
            throw error
        }
    }

    /// The path of `name` inside the directory; nothing is made there.
    public func path(_ name: String) -> String { "\(path)/\(name)" }

    /// Makes a directory inside, and those above it.
    @discardableResult
    public func makeDirectory(_ name: String) throws -> String {
        var built = path
        for component in name.split(separator: "/") {
            built += "/\(component)"
            if mkdir(built, 0o755) != 0, errno != EEXIST {
                throw OutsideProgram.Problem("mkdir \(built)")
            }
        }
        return built
    }

    /// Writes a file inside, replacing what has the name.
    @discardableResult
    public func write(_ name: String, _ bytes: some Collection<UInt8>) throws -> String {
        let file = path(name)
        guard let stream = fopen(file, "we") else { throw OutsideProgram.Problem("open \(file)") }
        let written = Array(bytes).withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, stream) }
        guard fclose(stream) == 0, written == bytes.count else {
            throw OutsideProgram.Problem("write \(file)")
        }
        return file
    }

    /// Writes a text file inside.
    @discardableResult
    public func write(_ name: String, _ text: String) throws -> String {
        try write(name, Array(text.utf8))
    }

    /// Registers something to undo; undone before everything registered earlier.
    public func atEnd(_ body: @escaping @Sendable () async -> Void) {
        endings.withLock { $0.append(body) }
    }

    /// Undoes what was registered, last first, and removes the directory. Calling it again does
    /// nothing more.
    public func cleanUp() async {
        while let ending = endings.withLock({ $0.popLast() }) { await ending() }
        _ = try? await OutsideProgram.run(["chmod", "-R", "u+rwX", path])
        _ = try? await OutsideProgram.run(["rm", "-rf", "--one-file-system", path])
    }
}
