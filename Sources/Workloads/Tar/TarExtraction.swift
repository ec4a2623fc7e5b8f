import Engine
import Model

/// Brings the entries of a tar archive back under a directory, with the care of ``TreeWriter``.
///
/// Whoever made the archive is not trusted: names that lead out are refused, links are never
/// followed, hard links lead to files of this very archive, and devices, setuid bits and privileged
/// attributes come back only when `options` say so. What is refused is a problem in the summary and
/// does not stop the rest; an archive that is not whole is an error, and what came back of it until
/// then is not to be used.
public struct TarExtraction: Sendable {
    private let target: String
    private let options: TreeReplayOptions
    private let limits: TarReader.Limits

    /// - Parameters:
    ///   - target: The directory; missing or empty unless `options` allow otherwise.
    ///   - options: Privileged metadata is off unless asked for, unlike with `dr`'s own captures.
    public init(
        to target: String,
        options: TreeReplayOptions = TreeReplayOptions(privilegedMetadata: false),
        limits: TarReader.Limits = TarReader.Limits()
    ) {
        self.target = target
        self.options = options
        self.limits = limits
    }

    /// Reads the archive from `descriptor` to its end; blocks.
    ///
    /// - Parameter cancelled: Throws when the work should end early.
    /// - Throws: `Failure` for an archive that is not whole, and for what concerns all entries.
    public func extract(from descriptor: Int32, cancelled: () throws -> Void = {}) throws
        -> TreeReplaySummary
    {
        let reader = TarReader(descriptor: descriptor, limits: limits)
        let writer = try TreeWriter(target: target, options: options)
        do {
            while let item = try reader.next() {
                try cancelled()
                try place(item, reader, writer)
            }
        } catch let error as TarError {
            throw error.failure
        }
        return try writer.complete()
    }

    private func place(_ item: TarReader.Item, _ reader: TarReader, _ writer: TreeWriter) throws {
        if item.entry.path.isEmpty, item.entry.type != .directory {
            return writer.report("refused, it would take the target's place", at: [])
        }
        for remark in item.remarks { writer.report(remark, at: item.entry.path) }
        guard let handle = try writer.begin(item.entry, linksBringContent: false) else { return }
        do {
            try reader.read { try writer.write(handle, at: $0, $1) }
        } catch {
            writer.abandon(handle, item.entry, reason: "not restored: \(error)")
            throw error
        }
        try writer.finish(handle, item.entry)
    }
}
