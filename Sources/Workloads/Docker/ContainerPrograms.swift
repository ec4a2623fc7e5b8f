import CLinux
public import Engine
import Glibc
import Model
import Synchronization

/// Runs programs in a running container, as `docker exec -i` does.
///
/// Standard input and output go over one connection of their own to the Engine. Ending a program
/// works on the Engine's own machine: the Engine itself has no call for it.
public struct ContainerPrograms: ProgramRunner {
    public let engine: DockerEngine
    /// Name or id.
    public let container: String

    public init(engine: DockerEngine, container: String) {
        self.engine = engine
        self.container = container
    }

    public func run(_ call: ProgramCall) async throws -> ProgramResult {
        let program = call.words.first ?? ""
        let deadline = call.timeout.map { ContinuousClock.now + $0.duration }
        let exec = try await create(call)
        do {
            let (pumped, status) = try await watched { [self] seen in
                let pumped = try await pump(call, exec: exec, deadline: deadline, seen: seen)
                return (pumped, try await exitCode(of: exec, deadline: deadline))
            }
            if status == 126 || status == 127, let reason = pumped.refusal {
                throw Failure(
                    .failed, "\(program) could not be started in container \(container)",
                    cause: reason, side: .source)
            }
            // Who was killed says nothing of why.
            let isKilled = [128 + SIGKILL, 128 + SIGTERM].contains(status)
            if isKilled, try await !isStillUp() { throw gone }
            return ProgramResult(
                status: status, output: pumped.output, errorText: pumped.errorText)
        } catch {
            // The program must not go on after this; the task may be cancelled, its end is not.
            let ending = ExecEnding(engine: engine, exec: exec)
            let ended = await Task { await ending.run() }.value
            guard error is ExecTimeout else { throw error }
            throw Failure(
                .failed,
                "\(program) in container \(container) took longer than "
                    + "\(call.timeout ?? .zero)" + (ended ? "" : " and could not be ended"),
                side: .source)
        }
    }

    private func create(_ call: ProgramCall) async throws -> String {
        var body: JSONValue = .object([
            "AttachStdin": .bool(call.input != nil),
            "AttachStdout": .bool(true),
            "AttachStderr": .bool(true),
            "Tty": .bool(false),
            "Cmd": JSONValue(call.words),
        ])
        if !call.environment.isEmpty {
            body["Env"] = JSONValue(call.environment.map { "\($0.key)=\($0.value)" }.sorted())
        }
        if let user = call.user { body["User"] = .string(user) }
        let answer = try await engine.call(
            engine.request(.post, ["containers", container, "exec"], body: body))
        guard let id = answer["Id"].string else { throw engine.unexpected("an exec's creation") }
        return id
    }

    private struct Pumped: Sendable {
        var output: [UInt8]
        var errorText: String
        /// Why the runtime started nothing, when that is what came as output.
        var refusal: String?
    }

    /// Starts the program and carries its bytes until the Engine closes the stream.
    private func pump(
        _ call: ProgramCall, exec: String, deadline: ContinuousClock.Instant?,
        seen: StreamProgress
    ) async throws -> Pumped {
        let interrupt = try Interrupt()
        let engine = engine
        return try await onThread(name: "dr-exec", interrupt: interrupt) {
            let connection = try DockerConnection(socket: engine.socket)
            let stream = ExecStream(
                connection: connection, interrupt: interrupt, deadline: deadline,
                progress: seen)
            let early = try stream.start(exec: exec, engine: engine)
            let feeding = try call.input.map { input in
                try Feeding(connection, from: input, onFailure: interrupt)
            }
            defer { feeding?.stop() }
            do {
                let output = ExecOutput(descriptor: call.output)
                let errorText = try stream.demultiplex(early, into: output)
                return Pumped(
                    output: output.collected, errorText: errorText,
                    refusal: Self.refusal(output.beginning))
            } catch {
                feeding?.stop()
                throw feeding?.failure ?? error
            }
        }
    }

    /// Ends `body` soon after the container has ended: the Engine may keep the stream open long after.
    private func watched<Value: Sendable>(
        _ body: @escaping @Sendable (StreamProgress) async throws -> Value
    ) async throws -> Value {
        let seen = StreamProgress()
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await body(seen) }
            group.addTask {
                try await untilGone(seen)
                throw gone
            }
            defer { group.cancelAll() }
            while let ended = try await group.next() {
                if let ended { return ended }
            }
            throw CancellationError()
        }
    }

    /// Whether the container goes on: its programs end a moment before it does.
    private func isStillUp() async throws -> Bool {
        for _ in 0..<10 {
            let state = try await engine.find(container: container)
            guard state?.isRunning ?? false else { return false }
            try await Task.sleep(for: .milliseconds(100))
        }
        return true
    }

    private var gone: Failure {
        Failure(
            .failed, "container \(container) was stopped or removed while a program ran in it",
            hint: "run it again when the container is up", side: .source, isTransient: true)
    }

    /// Returns when the container does not run any more and nothing has come for a while.
    private func untilGone(_ seen: StreamProgress) async throws {
        var quiet = 0
        var last = -1
        while quiet < 3 {
            try await Task.sleep(for: .seconds(1))
            let count = seen.count
            defer { last = count }
            // While bytes come, nobody need be asked.
            guard count == last else {
                quiet = 0
                continue
            }
            // An Engine that does not answer says nothing about the container.
            guard let state = try? await engine.find(container: container) else {
                quiet += (try? await engine.info()) == nil ? 0 : 1
                continue
            }
            quiet = state.isRunning ? 0 : quiet + 1
        }
    }

    /// The runtime's own words, which the Engine sends where the program's output would be.
    private static func refusal(_ beginning: [UInt8]) -> String? {
        let text = printable(beginning.prefix { $0 != 10 && $0 != 13 })
        let marks = ["OCI runtime exec failed", "unable to find user", "failed to create"]
        return marks.contains { text.hasPrefix($0) } ? text : nil
    }

    /// Waits for the program's own end: the stream's end says nothing about it.
    private func exitCode(
        of exec: String, deadline: ContinuousClock.Instant?
    ) async throws -> Int32 {
        var pause = Duration.milliseconds(1)
        while true {
            let state = try await engine.call(engine.request(.get, ["exec", exec, "json"]))
            if state["Running"].bool == false, let code = state["ExitCode"].integer {
                return Int32(truncatingIfNeeded: code)
            }
            if let deadline, ContinuousClock.now >= deadline { throw ExecTimeout() }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(250))
        }
    }
}

/// How often bytes have come; told by the reading thread.
final class StreamProgress: Sendable {
    private let reads = Atomic<Int>(0)
    var count: Int { reads.load(ordering: .relaxed) }
    func advance() { reads.add(1, ordering: .relaxed) }
}

/// Feeds standard input on a thread of its own, until told to stop.
private final class Feeding: Sendable {
    private let interrupt: Interrupt
    private let thread: WorkerThread.Handle
    private let state: State

    private final class State: Sendable {
        let failure = Mutex<(any Error)?>(nil)
        let isJoined = Mutex(false)
    }

    /// - Parameter onFailure: Raised when the input cannot be read.
    init(_ connection: DockerConnection, from input: Int32, onFailure: Interrupt) throws {
        let interrupt = try Interrupt()
        let state = State()
        self.interrupt = interrupt
        self.state = state
        thread = WorkerThread.start(name: "dr-exec-in") {
            do { try connection.feed(from: input, interrupt: interrupt) } catch {
                state.failure.withLock { $0 = error }
                onFailure.raise()
            }
        }
    }

    var failure: (any Error)? { state.failure.withLock { $0 } }

    /// Returns when the thread no longer touches the input.
    func stop() {
        interrupt.raise()
        state.isJoined.withLock { isJoined in
            if !isJoined { thread.join() }
            isJoined = true
        }
    }
}
