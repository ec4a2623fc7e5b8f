import Catalog
import Engine
import Model
import Workloads

/// Remembers in the catalog which containers a run has stopped or paused: durably, before it does.
///
/// Whoever is killed in between has left a note for the next run.
struct CatalogRestJournal: RestJournal {
    let catalog: Catalog
    let run: RunID
    let timepiece: any Timepiece

    static func name(_ container: RestedContainer) -> String {
        "container/\(container.name) \(container.id)"
    }

    func resting(_ container: RestedContainer) async throws {
        let detail = String(decoding: try StableJSON.encode(container), as: UTF8.self)
        try await catalog.journal(
            [
                JournalEntry(
                    .resting, step: "", name: Self.name(container), detail: detail,
                    at: timepiece.wall)
            ], of: run)
    }

    func released(_ container: RestedContainer) async {
        // What cannot be noted is looked at again by the next run, which finds it running.
        try? await catalog.journal(
            [JournalEntry(.released, step: "", name: Self.name(container), at: timepiece.wall)],
            of: run)
    }
}
