/// The order that `after:` asks for: every name must exist, and nobody may wait for himself.
struct ServiceOrder {
    private struct Wait {
        var name: String
        var position: TextPosition
    }

    private let names: [String]
    private let waits: [String: [Wait]]

    init(_ configuration: ConfigurationValue) {
        let services = configuration["services"]?.entries ?? []
        names = services.map(\.name)
        var waits: [String: [Wait]] = [:]
        for service in services {
            waits[service.name] = service.value["after"]?.items.compactMap { item in
                item.text.map { Wait(name: $0, position: item.position) }
            }
        }
        self.waits = waits
    }

    func check(_ problems: inout ProblemList) {
        let known = Set(names)
        for name in names {
            for wait in waits[name] ?? [] where !known.contains(wait.name) {
                let near = nearestName(to: wait.name, among: names.filter { $0 != name })
                problems.add(
                    wait.position, "services.\(name).after names no service: \"\(wait.name)\"",
                    hint: near.map { "did you mean \"\($0)\"?" }
                        ?? "write the name of a service of this file")
            }
        }
        for cycle in cycles() {
            problems.add(
                cycle.position, "services wait for each other: \(cycle.path)",
                hint: "remove one of them from the after: of the one before it")
        }
    }

    /// Each circle once, written from the service that comes first in the file.
    private func cycles() -> [(path: String, position: TextPosition)] {
        var found: [(path: String, position: TextPosition)] = []
        var finished: Set<String> = []
        for start in names where !finished.contains(start) {
            // Depth first without recursion: a chain may be as long as the file.
            var path = [start]
            var pending = [waits[start] ?? []]
            while let name = path.last {
                guard var rest = pending.popLast() else { break }
                guard !rest.isEmpty else {
                    finished.insert(name)
                    path.removeLast()
                    continue
                }
                let wait = rest.removeFirst()
                pending.append(rest)
                if let index = path.firstIndex(of: wait.name) {
                    found.append((describe(path[index...]), wait.position))
                } else if !finished.contains(wait.name), waits[wait.name] != nil {
                    path.append(wait.name)
                    pending.append(waits[wait.name] ?? [])
                }
            }
        }
        return found
    }

    private func describe(_ circle: ArraySlice<String>) -> String {
        let places = circle.indices.map { ($0, names.firstIndex(of: circle[$0]) ?? .max) }
        let first = places.min { $0.1 < $1.1 }?.0 ?? circle.startIndex
        let turned = Array(circle[first...] + circle[..<first])
        return (turned + turned.prefix(1)).joined(separator: " -> ")
    }
}
