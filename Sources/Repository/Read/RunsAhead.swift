import Engine
import FoundationEssentials
import Model

/// Runs of consecutive frames that are fetched before they are needed, several at once: where each
/// fetch is a journey, one after the other would mean to wait most of the time. Owned by one thread.
struct RunsAhead {
    /// Frames that follow one another in a pack, fetched in one piece.
    struct Run: Sendable {
        var pack: PackID
        var frames: [FrameLocation]

        /// Sealed bytes.
        var length: UInt64 {
            frames.last.map { $0.offset + UInt64($0.storedLength) - frames[0].offset } ?? 0
        }

        func holds(_ place: ChunkLocation) -> Bool {
            pack == place.pack && frames.contains { $0.number == place.frame.number }
        }
    }

    /// Sealed bytes of one run, at most.
    private static let runLength: UInt64 = 2 << 20
    /// Sealed bytes that are under way at once, and runs.
    private static let window: UInt64 = 16 << 20
    private static let atOnce = 32

    private let packs: PackReader
    private let nearness: Nearness
    private var waiting: ArraySlice<Run>
    private var underWay: [(run: Run, fetch: Task<Data, any Error>)] = []

    /// - Parameters:
    ///   - places: What will be wanted, in that order.
    ///   - isThere: Whether a place's frame need not be fetched.
    /// - Returns: nil where it would gain nothing: a store near by, or a single run.
    init?(
        _ places: some Sequence<ChunkLocation>, from packs: PackReader, _ nearness: Nearness,
        except isThere: (ChunkLocation) -> Bool
    ) {
        guard packs.store.isRemote else { return nil }
        var runs: [Run] = []
        for place in places
        where runs.last?.frames.last?.number != place.frame.number
            || runs.last?.pack != place.pack
        {
            if isThere(place) { continue }
            if let last = runs.last, let end = last.frames.last, last.pack == place.pack,
                place.frame.number == end.number + 1,
                place.frame.offset + UInt64(place.frame.storedLength) - last.frames[0].offset
                    <= Self.runLength
            {
                runs[runs.count - 1].frames.append(place.frame)
            } else {
                runs.append(Run(pack: place.pack, frames: [place.frame]))
            }
        }
        guard runs.count > 1 else { return nil }
        self.packs = packs
        self.nearness = nearness
        waiting = runs[...]
        fill()
    }

    /// The run that holds a frame, with its sealed bytes; blocks until they have come.
    ///
    /// - Returns: nil when it is in none that is still to come. Runs before it are given up.
    mutating func take(_ place: ChunkLocation) throws -> (run: Run, sealed: Data)? {
        if !underWay.contains(where: { $0.run.holds(place) }) {
            // What is on its way turned out to be there already.
            guard let next = waiting.firstIndex(where: { $0.holds(place) }) else { return nil }
            cancel()
            underWay = []
            waiting = waiting[next...]
            fill()
        }
        guard let number = underWay.firstIndex(where: { $0.run.holds(place) }) else { return nil }
        for passed in underWay[..<number] { passed.fetch.cancel() }
        let (run, fetch) = underWay[number]
        underWay.removeSubrange(...number)
        fill()
        return (run, try waitBlocking { try await fetch.value })
    }

    /// Gives up what has not come yet.
    func cancel() {
        for (_, fetch) in underWay { fetch.cancel() }
    }

    private mutating func fill() {
        var length = underWay.reduce(0) { $0 + $1.run.length }
        while underWay.count < Self.atOnce, length < Self.window, let run = waiting.popFirst() {
            length += run.length
            let (packs, nearness) = (packs, nearness)
            let fetch = Task {
                try await packs.sealedFrames(
                    run.pack, from: run.frames[0], through: run.frames[run.frames.count - 1],
                    nearness)
            }
            underWay.append((run, fetch))
        }
    }
}
