import Model
import Synchronization

/// Counts what came back and what did not; used from several threads at once.
final class ReplayTally: Sendable {
    /// What is dropped on purpose.
    enum Dropped: Int, CaseIterable {
        case setuid, device, attribute, duplicate

        func words(_ count: Int) -> String {
            let isOne = count == 1
            switch self {
            case .setuid: return "setuid or setgid bits of \(count) \(isOne ? "entry" : "entries")"
            case .device: return "\(count) \(isOne ? "device" : "devices")"
            case .attribute: return "\(count) privileged \(isOne ? "attribute" : "attributes")"
            case .duplicate:
                return "\(count) \(isOne ? "entry" : "entries") that a later one replaced"
            }
        }
    }

    private struct State {
        var dropped = [Int](repeating: 0, count: Dropped.allCases.count)
        var problems: [String] = []
        var unnamed = 0
        var cause: ExitCode?
    }

    private let state = Mutex(State())
    private let files = Atomic<UInt64>(0)
    private let entries = Atomic<UInt64>(0)
    private let bytes = Atomic<UInt64>(0)
    private static let namedProblems = 1000

    func wrote(_ count: Int) { bytes.add(UInt64(count), ordering: .relaxed) }

    func made(_ type: EntryType) {
        entries.add(1, ordering: .relaxed)
        if type == .file { files.add(1, ordering: .relaxed) }
    }

    func dropped(_ what: Dropped) { state.withLock { $0.dropped[what.rawValue] += 1 } }

    /// - Parameter cause: The code that stands for why, where it is one of its own.
    func problem(_ path: [UInt8], _ reason: String, cause: ExitCode? = nil) {
        let name = path.isEmpty ? "the tree's root" : printable(path)
        state.withLock { state in
            // What can be helped by making room is said first.
            if let cause, state.cause == nil || cause == .noSpace { state.cause = cause }
            if state.problems.count < Self.namedProblems {
                state.problems.append("\(name): \(reason)")
            } else {
                state.unnamed += 1
            }
        }
    }

    var summary: TreeReplaySummary {
        var summary = TreeReplaySummary()
        summary.files = files.load(ordering: .relaxed)
        summary.entries = entries.load(ordering: .relaxed)
        summary.bytes = ByteCount(bytes.load(ordering: .relaxed))
        state.withLock { state in
            for what in Dropped.allCases where state.dropped[what.rawValue] > 0 {
                summary.dropped.append(what.words(state.dropped[what.rawValue]))
            }
            summary.problems = state.problems
            summary.cause = state.cause
            if state.unnamed > 0 { summary.problems.append("\(state.unnamed) more like these") }
        }
        return summary
    }
}
