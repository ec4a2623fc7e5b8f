import CLinux
import Engine
import FoundationEssentials
import Glibc
import Model
import Repository
import RepositorySupport
import Synchronization
import TestSupport

/// A store that several processes use, a clock that all of them see, and the one who decides what
/// happens next.
///
/// Every call of a process stops it until the world lets it go on; only one line of execution runs at
/// a time, to its next call. So a seed decides the order of everything, and the same seed gives the
/// same order again, although the code under test has threads of its own.
final class SimulatedWorld: Sendable {
    /// A line of execution: what a process does, or the renewals of its session.
    struct Line: Hashable, Comparable, CustomStringConvertible {
        var process: Int
        var isRenewal: Bool
        static func < (left: Line, right: Line) -> Bool {
            (left.process, left.isRenewal ? 1 : 0) < (right.process, right.isRenewal ? 1 : 0)
        }
        var description: String { isRenewal ? "\(process) (renewal)" : "\(process)" }
    }

    enum Call {
        case put(ObjectKey, Data)
        case get(ObjectKey, ObjectRange)
        case size(ObjectKey)
        case list(String)
        case delete(ObjectKey)

        var method: StoreMethod {
            switch self {
            case .put: .put
            case .get: .get
            case .size: .size
            case .list: .list
            case .delete: .delete
            }
        }
        var path: String {
            switch self {
            case .put(let key, _), .get(let key, _), .size(let key), .delete(let key): key.path
            case .list(let prefix): prefix
            }
        }
        var changes: Bool { method == .put || method == .delete }
    }

    enum Reply: Sendable {
        case done
        case data(Data)
        case size(UInt64?)
        case objects([StoredObject])
    }

    struct Object {
        var bytes: Data
        var stored: Timestamp
        /// Order of storing.
        var number: Int
    }

    struct Pending {
        var call: Call
        var since: Timestamp
        var continuation: CheckedContinuation<Reply, any Error>
        /// It has happened already; only the answer has not come.
        var outcome: Result<Reply, any Error>?
    }

    struct Sleeper {
        var wakes: Timestamp
        var continuation: CheckedContinuation<Void, any Error>
    }

    struct Process {
        var name: String
        var isOver = false
        /// It makes no step before this moment.
        var sleepsUntil: Timestamp?
        /// Calls do not stop it.
        var isQuick = false
        var sessionPut: Timestamp?
    }

    struct State {
        var objects: [ObjectKey: Object] = [:]
        var count = 0
        var clock = Timestamp(nanoseconds: 1_700_000_000_000_000_000)
        var running: Line?
        var pending: [Line: Pending] = [:]
        var sleepers: [Int: Sleeper] = [:]
        var cancelledSleeps: Set<Int> = []
        var processes: [Process] = []
        var names: [ObjectKey: String] = [:]
        var trace: [String] = []
        /// How often each object was read, for faults that are to strike the same way again.
        var reads: [ObjectKey: Int] = [:]
        var readFaults: ReadFaults?
    }

    /// Reads that come back wrong, by chance.
    struct ReadFaults {
        var seed: UInt64
        /// One read in so many.
        var oneIn: UInt64
    }

    let state: Mutex<State>
    private let rest = RestSignal()

    init() { state = Mutex(State()) }

    var clock: Timestamp { state.withLock { $0.clock } }
    var trace: [String] { state.withLock { $0.trace } }

    func note(_ text: String) { state.withLock { Self.note(text, &$0) } }

    static func note(_ text: String, _ state: inout State) {
        let seconds = (state.clock - Timestamp(nanoseconds: 1_700_000_000_000_000_000)).seconds
        state.trace.append("\(Int(seconds)) s  \(text)")
    }

    /// Short names that are the same in every run of a seed.
    static func shown(_ call: Call, _ state: inout State) -> String {
        guard let key = ObjectKey(validating: call.path), call.method != .list else {
            return "\(call.method) \(call.path)/"
        }
        let name: String
        if let known = state.names[key] {
            name = known
        } else {
            let kind = call.path.split(separator: "/").first.map(String.init) ?? ""
            name = "\(kind) \(state.names.count)"
            state.names[key] = name
        }
        return "\(call.method) \(name)"
    }

    // MARK: What processes do

    func addProcess(_ name: String, isQuick: Bool = false) -> Int {
        state.withLock { state in
            state.processes.append(Process(name: name, isQuick: isQuick))
            return state.processes.count - 1
        }
    }

    /// A call; returns when the world has let it happen.
    func call(_ call: Call, by process: Int) async throws -> Reply {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                enter(call, process, continuation)
            }
        } onCancel: {
            // Only renewals are cancelled, and only while their process runs.
            let line = Line(process: process, isRenewal: true)
            let pending = state.withLock { $0.pending.removeValue(forKey: line) }
            pending?.continuation.resume(throwing: CancellationError())
        }
    }

    private func enter(
        _ call: Call, _ process: Int, _ continuation: CheckedContinuation<Reply, any Error>
    ) {
        enum Then { case resume(Result<Reply, any Error>), rest }
        let then: Then = state.withLock { state in
            guard !state.processes[process].isOver else { return .resume(.failure(StoreCrash())) }
            if state.processes[process].isQuick || Self.isQuick(call) {
                return .resume(Self.apply(call, &state))
            }
            guard let line = state.running, line.process == process else {
                Self.note("process \(process) calls out of turn: \(call.path)", &state)
                return .resume(.failure(StoreCrash()))
            }
            state.pending[line] = Pending(
                call: call, since: state.clock, continuation: continuation)
            state.running = nil
            return .rest
        }
        switch then {
        case .resume(let result): continuation.resume(with: result)
        case .rest: rest.signal()
        }
    }

    /// Reads that several tasks of one process make at once, and those of what never changes.
    private static func isQuick(_ call: Call) -> Bool {
        switch call {
        case .get(let key, .suffix), .get(let key, .whole), .get(let key, .bytes(offset: 0, _)):
            key.path.hasPrefix("packs/") || isFixed(key.path)
        case .get(let key, _), .size(let key): isFixed(key.path)
        case .list(let prefix): isFixed(prefix)
        default: false
        }
    }

    private static func isFixed(_ path: String) -> Bool {
        path == "config" || path == "keys" || path.hasPrefix("keys/")
    }

    /// Sleeps in virtual time; only renewals of sessions do.
    func sleep(_ span: TimeSpan, _ process: Int) async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (isCancelled, rests) = state.withLock { state in
                    if state.cancelledSleeps.remove(process) != nil
                        || state.processes[process].isOver
                    {
                        return (true, false)
                    }
                    let from = state.processes[process].sessionPut ?? state.clock
                    state.sleepers[process] = Sleeper(
                        wakes: max(from + span, state.clock), continuation: continuation)
                    let rests = state.running == Line(process: process, isRenewal: true)
                    if rests { state.running = nil }
                    return (false, rests)
                }
                if isCancelled { continuation.resume(throwing: CancellationError()) }
                if rests { rest.signal() }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                let sleeper = state.sleepers.removeValue(forKey: process)
                if sleeper == nil { state.cancelledSleeps.insert(process) }
                return sleeper
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// The process has come to its end, good or bad.
    func finished(_ process: Int) {
        let (sleeper, pending, rests) = state.withLock { state in
            state.processes[process].isOver = true
            let sleeper = state.sleepers.removeValue(forKey: process)
            let pending = state.pending.removeValue(
                forKey: Line(process: process, isRenewal: true))
            let rests = state.running == Line(process: process, isRenewal: false)
            if rests { state.running = nil }
            return (sleeper, pending, rests)
        }
        sleeper?.continuation.resume(throwing: CancellationError())
        pending?.continuation.resume(throwing: StoreCrash())
        if rests { rest.signal() }
    }

    // MARK: What the world does

    /// Lets `line` run, by `start`, until it rests.
    func run(_ line: Line, _ start: () -> Void) throws {
        state.withLock { $0.running = line }
        start()
        guard rest.wait(seconds: 60) else {
            throw Failure(.failed, "line \(line) does not come to rest")
        }
    }

    /// What a call does to the objects, and its answer.
    static func apply(_ call: Call, _ state: inout State) -> Result<Reply, any Error> {
        switch call {
        case .put(let key, let bytes):
            state.count += 1
            // No two objects of the same time: their order is that of storing.
            state.clock = state.clock + TimeSpan(nanoseconds: 1000)
            state.objects[key] = Object(bytes: bytes, stored: state.clock, number: state.count)
            return .success(.done)
        case .delete(let key):
            state.objects[key] = nil
            return .success(.done)
        case .size(let key):
            return .success(.size(state.objects[key].map { UInt64($0.bytes.count) }))
        case .list(let prefix):
            let start = prefix.isEmpty ? "" : prefix + "/"
            let found = state.objects.filter { $0.key.path.hasPrefix(start) }
                .sorted { $0.value.number < $1.value.number }
            return .success(
                .objects(
                    found.map {
                        StoredObject(
                            key: $0.key, size: UInt64($0.value.bytes.count),
                            stored: $0.value.stored)
                    }))
        case .get(let key, let range):
            guard let bytes = state.objects[key]?.bytes else {
                return .failure(ObjectMissing(key))
            }
            let part: Data =
                switch range {
                case .whole: bytes
                case .bytes(let offset, let length):
                    Data(bytes.dropFirst(Int(clamping: offset)).prefix(length))
                case .suffix(let length): Data(bytes.suffix(length))
                }
            return .success(.data(damaged(part, key, &state)))
        }
    }

    private static func damaged(_ bytes: Data, _ key: ObjectKey, _ state: inout State) -> Data {
        guard let faults = state.readFaults, !bytes.isEmpty, !isFixed(key.path) else {
            return bytes
        }
        let count = state.reads[key, default: 0] + 1
        state.reads[key] = count
        let name = state.objects[key]?.number ?? 0
        var random = SeededRandom(seed: faults.seed ^ UInt64(name) << 20 ^ UInt64(count))
        guard random.next() % faults.oneIn == 0 else { return bytes }
        let position = Int.random(in: 0..<bytes.count, using: &random)
        if Bool.random(using: &random) { return Data(bytes.prefix(position)) }
        var wrong = bytes
        wrong[wrong.startIndex + position] ^= 0x10
        return wrong
    }
}

/// Signalled when the line that runs has come to rest.
private final class RestSignal: Sendable {
    // sem_t is made for use from several threads at once; its address is fixed by the allocation.
    private nonisolated(unsafe) let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        semaphore = .allocate(capacity: 1)
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func signal() { sem_post(semaphore) }

    func wait(seconds: Int) -> Bool {
        var limit = timespec()
        clock_gettime(CLOCK_REALTIME, &limit)
        limit.tv_sec += seconds
        while sem_timedwait(semaphore, &limit) != 0 {
            if errno != EINTR { return false }
        }
        return true
    }
}
