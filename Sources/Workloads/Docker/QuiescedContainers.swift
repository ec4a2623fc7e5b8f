import Model

/// Containers that are at rest while a group is captured.
struct QuiescedContainers: Quiesced {
    let resting: RestingContainers
    /// As they were before.
    let containers: [ContainerInspection]
    /// The Engine's address.
    let engine: String

    func release() async -> Failure? { await resting.release() }
}

/// What a capture needs to know of containers that others have brought to rest: a container that only
/// waits for the group's end is captured as one that runs.
struct HeldContainers: Sendable {
    private var before: [String: ContainerInspection] = [:]
    /// None of them had to be killed.
    private(set) var isClean = true

    init() {}

    init(_ quiesced: [any Quiesced]) async {
        for case let some as QuiescedContainers in quiesced {
            for container in some.containers { before[container.id] = container }
            isClean = await some.resting.isClean && isClean
        }
    }

    func contains(_ container: ContainerInspection) -> Bool { before[container.id] != nil }

    /// The container as it was before it was brought to rest; itself where it was not.
    func replace(_ container: ContainerInspection?) -> ContainerInspection? {
        container.map { before[$0.id] ?? $0 }
    }
}
