import Catalog
import Engine
import Model
import Repository
import Restore
import Snapshot

// Where the data of services lies, and until when nobody can delete it there.
extension Application {
    /// What the repository itself held at the end of a run, in the catalog.
    static let placesDocument = "places"

    /// Locks what the newest snapshots share with older ones for as long as what is new in them, where
    /// the store has locks, and remembers until when.
    ///
    /// - Returns: What went wrong; the snapshots are safe all the same.
    func keepLocked(_ open: OpenRepository, after run: RunID) async -> Failure? {
        guard open.repository.store.lockSpan != nil else { return nil }
        do {
            let side = Copying.Side(
                repository: open.repository, catalog: open.catalog, index: open.index)
            let (workloads, renewed) = try await side.keepPlaced(
                Set(open.configuration.services.map(\.name)))
            output.detail(StyledText("locked \(renewed) objects for longer"))
            try await open.catalog.record(
                document: Self.placesDocument, StableJSON.encode(workloads), of: run)
            return nil
        } catch {
            return Failure(wrapping: error).during("locking what older nights stored")
        }
    }

    /// Where the data of each service lies, as this machine last heard.
    ///
    /// - Returns: nil where there is one place, and it locks nothing.
    func places(
        of services: [StatusOverview.Service], _ copies: [ShownCopy], _ open: OpenRepository
    ) async throws -> [StatusOverview.Place]? {
        let isLocking = open.repository.store.lockSpan != nil
        guard isLocking || !copies.isEmpty else { return nil }
        var own: [PlacedWorkload] = []
        if isLocking {
            for run in try await open.catalog.runs(.backup, limit: 20) where own.isEmpty {
                guard
                    let bytes = try await open.catalog.document(Self.placesDocument, of: run.id)
                else { continue }
                own = (try? StableJSON.decode([PlacedWorkload].self, from: bytes)) ?? []
            }
        }
        let locks = Dictionary(own.map { ($0.workload, $0.lockedUntil) }) { first, _ in first }
        return services.flatMap { service in
            // What the repository holds is in the catalog; only of locks it knows nothing.
            let held = service.workloads.compactMap { workload in
                workload.asOf.map {
                    PlacedWorkload(
                        workload: workload.workload, asOf: $0,
                        lockedUntil: locks[workload.workload] ?? nil)
                }
            }
            return [StatusOverview.Place(service, copy: nil, held: held, now: now)]
                + copies.map { copy in
                    StatusOverview.Place(service, copy: copy.shown.name, held: copy.held, now: now)
                }
        }
    }
}
