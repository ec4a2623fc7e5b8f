import Model
import Synchronization

/// Takes the beginning of a custom-format dump, up to the end of its table of contents.
///
/// Indexes, constraints and triggers stand there whole: they have no data of their own. With it
/// pg_restore can make them, several at a time, without the dump.
final class ArchiveContents: PieceReceiver {
    /// It has come whole, or never will.
    private struct Enough: Error {}

    private struct State {
        var parser = ArchiveParser(database: "")
        var bytes: [UInt8] = []
    }

    private let state = Mutex(State())
    /// A schema larger than that is made in one stream.
    private static let limit = 64 << 20

    /// The bytes; nil where the archive is none that is understood, or cannot be read in pieces.
    static func read(_ part: String, from source: any ReplaySource) async throws -> [UInt8]? {
        let contents = ArchiveContents()
        do { _ = try await source.read(part, into: contents) } catch let error as CancellationError
        {
            throw error
        } catch {
            // Enough, or something is wrong with the dump: the one stream says that better.
        }
        return contents.whole
    }

    /// All up to the end of the table of contents, once that has come.
    var whole: [UInt8]? {
        state.withLock { state in
            state.parser.contentsLength.map { Array(state.bytes.prefix($0)) }
        }
    }

    func receive(_ bytes: UnsafeRawBufferPointer) throws {
        try state.withLock { state in
            state.bytes.append(contentsOf: bytes)
            state.parser.feed(bytes)
            if state.parser.contentsLength != nil || state.parser.isUnreadable
                || state.bytes.count > Self.limit
            {
                throw Enough()
            }
        }
    }

    func receiveZeros(_ count: UInt64) throws { throw Enough() }
}
