import CLinux
import Engine
import FoundationEssentials
import Glibc
import Model

/// Ends a program that an exec started, when nobody wants its result any more.
///
/// The Engine has no call for that. It tells the program's process id on its own machine, where the
/// process and what it started get SIGTERM, then SIGKILL.
struct ExecEnding {
    let engine: DockerEngine
    let exec: String

    /// - Returns: Whether the program is known to have ended.
    func run() async -> Bool {
        guard engine.isRemote, (try? await state()) == nil else { return await end() }
        // The way to another machine may have been cut: then there is a new one.
        for _ in 0..<3 {
            if let again = try? await DockerEngine.connect(address: engine.address) {
                return await ExecEnding(engine: again, exec: exec).end()
            }
            try? await Task.sleep(for: .milliseconds(500))
        }
        return false
    }

    private func end() async -> Bool {
        let steps: [(Int32, Duration)] = [(SIGTERM, .seconds(3)), (SIGKILL, .seconds(5))]
        for (signal, patience) in steps {
            let deadline = ContinuousClock.now + patience
            guard let state = try? await state() else { return false }
            if !state.isRunning { return true }
            // Nothing outlives its container, whatever the Engine still says of it.
            do {
                let container = try await engine.find(container: state.container)
                guard container?.isRunning ?? false else { return true }
            } catch { return false }
            await signalTree(state, signal)
            var pause = Duration.milliseconds(5)
            while ContinuousClock.now < deadline {
                guard let state = try? await self.state() else { return false }
                if !state.isRunning { return true }
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, .milliseconds(200))
            }
        }
        return false
    }

    private struct State {
        var isRunning: Bool
        var processID: Int32
        var container: String
    }

    private func state() async throws -> State {
        let json = try await engine.call(engine.request(.get, ["exec", exec, "json"]))
        return State(
            isRunning: json["Running"].bool ?? false,
            processID: Int32(truncatingIfNeeded: json["Pid"].integer ?? 0),
            container: json["ContainerID"].string ?? "")
    }

    /// Children first become known, then all get the signal: a parent that ends loses them.
    private func signalTree(_ state: State, _ signal: Int32) async {
        // The number belongs to the Engine's machine: here it may be anybody's process.
        guard state.processID > 1, !state.container.isEmpty else { return }
        if let far = (try? engine.files)?.farPrograms {
            _ = try? await far.run(
                ProgramCall(
                    [
                        "sh", "-c", Self.farSignal, "dr", "\(state.processID)", state.container,
                        "\(signal)",
                    ], timeout: TimeSpan(seconds: 20)))
            return
        }
        guard
            let group = Self.text("/proc/\(state.processID)/cgroup"),
            group.contains(state.container)
        else { return }
        var processes = [state.processID]
        var index = 0
        while index < processes.count, processes.count < 10_000 {
            let id = processes[index]
            index += 1
            let children = Self.text("/proc/\(id)/task/\(id)/children") ?? ""
            processes += children.split(separator: " ").compactMap { Int32($0) }
        }
        for id in processes { kill(id, signal) }
    }

    /// The same in a shell: process, container, signal.
    private static let farSignal =
        #"grep -q "$2" "/proc/$1/cgroup" || exit 0; a=; t() { a="$a $1"; "#
        + #"for c in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do t "$c"; done; }; "#
        + #"t "$1"; kill "-$3" $a"#

    private static func text(_ path: String) -> String? {
        // A file of /proc has no size of its own, so it is read to its end.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count <= 0 { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
