import Model
import Synchronization

/// Divides what a session has stored among the captures that it came from.
///
/// A capture that was alone has all of it. Those that ran side by side share frames and packs: each
/// has as much as its new bytes are of all new bytes.
final class StoredBytes: Sendable {
    struct Share: Sendable {
        fileprivate var number: Int
        fileprivate var before: ByteCount
    }

    private struct State {
        var next = 0
        var running: Set<Int> = []
        var shared: Set<Int> = []
    }

    private let state = Mutex(State())

    /// Begins a capture, at what the session has stored so far.
    func begin(_ totals: (new: ByteCount, stored: ByteCount)) -> Share {
        state.withLock { state in
            state.next += 1
            state.running.insert(state.next)
            if state.running.count > 1 { state.shared.formUnion(state.running) }
            return Share(number: state.next, before: totals.stored)
        }
    }

    func end(_ share: Share) {
        state.withLock { state in
            state.running.remove(share.number)
            state.shared.remove(share.number)
        }
    }

    /// Bytes of packs for `new` bytes of plaintext of this capture.
    func share(
        _ share: Share, new: ByteCount, of totals: (new: ByteCount, stored: ByteCount)
    ) -> ByteCount {
        let added = totals.stored.bytes - min(share.before.bytes, totals.stored.bytes)
        let isShared = state.withLock { $0.shared.contains(share.number) }
        guard isShared, totals.new.bytes > 0 else { return ByteCount(added) }
        let part = Double(new.bytes) / Double(totals.new.bytes) * Double(totals.stored.bytes)
        return ByteCount(UInt64(max(0, part.rounded())))
    }
}
