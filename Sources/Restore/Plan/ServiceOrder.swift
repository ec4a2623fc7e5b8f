import Engine
import Model

/// Which services a plan is about, and in which waves they come.
struct ServiceOrder {
    /// In the order of their waves, then of the configuration.
    let services: [Service]
    /// Counted from 1.
    let waves: [ServiceName: Int]
    /// Services that stand in `after:` of one of these and are not among them.
    let leftOut: [ServiceName]

    /// - Parameters:
    ///   - names: What the person named; empty for all.
    ///   - only: What these depend on is left out.
    /// - Throws: `Failure` with code `usage` for an unknown name, or a cycle, told as its path.
    init(_ all: [Service], names: [ServiceName], only: Bool) throws {
        let byName = Dictionary(all.map { ($0.name, $0) }) { first, _ in first }
        var wanted: Set<ServiceName> = []
        var open = names.isEmpty ? all.map(\.name) : names
        while let name = open.popLast() {
            guard let service = byName[name] else {
                throw Failure(
                    .usage, "no service \(printable(name.text.utf8))",
                    hint: "known are: " + all.map(\.name.text).sorted().joined(separator: ", "))
            }
            guard wanted.insert(name).inserted, !only else { continue }
            for other in service.after {
                guard byName[other] != nil else {
                    throw Failure(
                        .usage, "service \(name) comes after \(other), which does not exist",
                        hint: "correct after: in the configuration")
                }
                open.append(other)
            }
        }
        let chosen = all.filter { wanted.contains($0.name) }
        let nodes = chosen.map { service in
            GraphNode(
                service.name.text,
                needs: service.after.filter { wanted.contains($0) }.map(\.text))
        }
        let graph: Graph
        do {
            graph = try Graph(nodes)
        } catch {
            throw Self.refusal(error)
        }
        var waves = [Int](repeating: 1, count: chosen.count)
        for index in graph.order {
            waves[index] = (graph.needs[index].map { waves[$0] }.max() ?? 0) + 1
        }
        services = chosen.indices.sorted { (waves[$0], $0) < (waves[$1], $1) }.map { chosen[$0] }
        self.waves = Dictionary(
            uniqueKeysWithValues: chosen.indices.map { (chosen[$0].name, waves[$0]) })
        leftOut = Set(chosen.flatMap(\.after)).subtracting(wanted).sorted()
    }

    private static func refusal(_ error: GraphError) -> Failure {
        guard case .cycle(let path) = error else {
            return Failure(.usage, error.description, hint: "correct the configuration")
        }
        return Failure(
            .usage, "services wait for each other: " + path.joined(separator: " -> "),
            hint: "remove one of these from after: in the configuration")
    }
}
