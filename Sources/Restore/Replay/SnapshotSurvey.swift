import Engine
import Model
import Repository
import Workloads

/// What lists of a snapshot say of its data, without reading any of it.
struct SnapshotSurvey: Sendable {
    /// Bytes that take room where they are written: holes are left out.
    var bytes: UInt64 = 0
    /// Pieces that are in no pack of the repository.
    var missing = 0
    /// All of it was looked at; false when the time was up before.
    var isWhole = true
}

/// A source that can be looked over before it is replayed.
protocol SurveyedSource: ReplaySource {
    /// - Parameter end: When to stop looking.
    func survey(until end: ContinuousClock.Instant) async throws -> SnapshotSurvey
}

extension RepositoryReplaySource: SurveyedSource {
    func survey(until end: ContinuousClock.Instant) async throws -> SnapshotSurvey {
        try await blocking { source, check in
            var survey = SnapshotSurvey()
            let reader = source.reader(8 << 20)
            for part in source.snapshot.parts {
                guard survey.isWhole else { break }
                guard part.kind == .tree else {
                    try source.survey(part.content, reader, until: end, &survey)
                    continue
                }
                let cursor = try TreeCursor(part.content, reader: reader) { $0.type == .file }
                while survey.isWhole, let entry = try cursor.next() {
                    try check()
                    guard entry.type == .file, entry.hardLink == nil else { continue }
                    try source.survey(entry.content, reader, until: end, &survey)
                }
            }
            return survey
        }
    }

    private func survey(
        _ content: ContentReference, _ reader: ChunkReader, until end: ContinuousClock.Instant,
        _ survey: inout SnapshotSurvey
    ) throws {
        try reader.forEachLeaf(content) { references in
            guard survey.isWhole else { return }
            let wanted = references.filter { !$0.isZeros }
            survey.bytes += wanted.reduce(0) { $0 + $1.length }
            survey.missing += try index.contains(wanted.map(\.id)).count { !$0 }
            if ContinuousClock.now > end { survey.isWhole = false }
        }
    }
}
