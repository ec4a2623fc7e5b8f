import Model
import Repository
import Snapshot

// What a repair takes from copies of the repository.
extension CheckCommand {
    /// Takes from the copies what this repository has lost; one that cannot be reached is said.
    ///
    /// - Parameter lost: Snapshots whose records are gone or damaged.
    /// - Returns: Those of `lost` that are there again.
    func heal(
        _ application: Application, _ open: OpenRepository, lost: [SnapshotID]
    ) async throws -> Set<SnapshotID> {
        var returned: Set<SnapshotID> = []
        let progress = ProgressDisplay("copy back", on: application.output)
        for copy in open.configuration.copies {
            do {
                let result = try await progress.during {
                    let other = try await application.open(copy, of: open.configuration)
                    _ = try await other.repository.refresh(other.index)
                    guard other.repository.namesChunksLike(open.repository) else {
                        throw Failure(
                            .usage, "it was not made for copies of this repository",
                            side: .repository)
                    }
                    return try await Healing(
                        from: Copying.Side(
                            repository: other.repository, catalog: other.catalog,
                            index: other.index),
                        to: Copying.Side(
                            repository: open.repository, catalog: open.catalog,
                            index: open.index),
                        timepiece: application.timepiece, host: application.host
                    ).carryOut(lost: lost.filter { !returned.contains($0) }) { bytes in
                        progress.update { $0.bytesDone += bytes }
                    }
                }
                returned.formUnion(result.returned)
                application.output.present(HealedPage(name: copy.name, result: result))
            } catch let error as CancellationError {
                throw error
            } catch {
                let failure = Failure(wrapping: error).during("copy \(copy.name)")
                application.output.warning(failure.description, hint: failure.hint)
            }
        }
        return returned
    }
}

private struct HealedPage: Presentable {
    var name: String
    var result: HealResult

    var json: JSONValue {
        [
            "message_type": "healed", "copy": .string(name),
            "returned": .strings(result.returned.map { "\($0)" }),
            "healed": .strings(result.healed.map { "\($0)" }),
        ]
    }

    func write(to page: inout Page) {
        let (returned, healed) = (result.returned.count, result.healed.count)
        page.line(
            StyledText(
                "from \(name): \(returned) \(returned == 1 ? "snapshot" : "snapshots") brought back,"
                    + " \(healed) made whole"))
    }
}
