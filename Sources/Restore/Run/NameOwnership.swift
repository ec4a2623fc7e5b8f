import Model

/// Whose the names are that a run makes: what the journal's entries come to, read in their order.
struct NameOwnership: Sendable {
    private var own: Set<String> = []
    private var asides: [String: String] = [:]

    init(_ journal: [JournalEntry] = []) {
        for entry in journal { apply(entry) }
    }

    mutating func apply(_ entry: JournalEntry) {
        switch entry.kind {
        case .making: own.insert(entry.name)
        case .existed: own.remove(entry.name)
        case .aside:
            own.remove(entry.name)
            asides[entry.name] = entry.detail
        case .proven, .resting, .released: break
        }
    }

    /// Whether the run itself made what has the name.
    func isOwn(_ name: String) -> Bool { own.contains(name) }

    /// Where the run was about to move what had the name before.
    func aside(of name: String) -> String? { asides[name] }
}
