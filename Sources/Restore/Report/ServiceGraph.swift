import Model

/// Services and what they wait for, as SVG: a column a wave, left to right.
struct ServiceGraph {
    struct Node {
        var name: String
        /// From 1.
        var wave: Int
        var detail: String
        /// Nil while nothing is known of it.
        var isGood: Bool?
        var after: [String]
        var isCritical: Bool
    }

    private static let width = 176.0
    private static let height = 44.0
    private static let columnGap = 64.0
    private static let rowGap = 14.0
    private static let margin = 4.0

    private let nodes: [Node]
    private var places: [String: (x: Double, y: Double)] = [:]
    private var size = (width: 0.0, height: 0.0)

    init(_ nodes: [Node]) {
        self.nodes = nodes
        layOut()
    }

    init(_ plan: RecoveryPlan) {
        let critical = Set(
            (plan.forecast?.criticalPath ?? []).flatMap { plan.step($0)?.services ?? [] })
        self.init(
            plan.services.map { service in
                let bytes = service.snapshots.reduce(into: ByteCount(0)) { $0 += $1.bytes }
                return Node(
                    name: service.name.text, wave: service.wave,
                    detail: service.snapshots.isEmpty
                        ? "nothing to bring back"
                        : "\(bytes)" + (service.asOf.map { ", \(plan.made - $0) old" } ?? ""),
                    isGood: service.snapshots.isEmpty ? false : nil,
                    after: service.after.map(\.text), isCritical: critical.contains(service.name))
            })
    }

    init(_ report: RecoveryReport) {
        let byID = Dictionary(report.steps.map { ($0.id, $0) }) { first, _ in first }
        let critical = Set(report.criticalPath.flatMap { byID[$0]?.services ?? [] })
        func waits(_ service: ServiceReport) -> [String] {
            let own = report.steps.filter { $0.services == [service.name] }
            let others = Set(
                own.flatMap(\.needs).compactMap { byID[$0] }
                    .filter { $0.phase == .healthy && !$0.services.contains(service.name) }
                    .flatMap(\.services))
            return others.map(\.text).sorted()
        }
        self.init(
            report.services.map { service in
                Node(
                    name: service.name.text, wave: service.wave,
                    detail: service.recoveryTime.map { "back after \($0)" }
                        ?? service.state.rawValue,
                    isGood: service.isHealthy, after: waits(service),
                    isCritical: critical.contains(service.name))
            })
    }

    /// Each column in the order that keeps lines short: by what its services wait for.
    private mutating func layOut() {
        let waves = Set(nodes.map(\.wave)).sorted()
        for (column, wave) in waves.enumerated() {
            let members = nodes.enumerated().filter { $0.element.wave == wave }
            let sorted = members.map { number, node in
                let before = node.after.compactMap { places[$0]?.y }
                let middle = before.isEmpty ? 0 : before.reduce(0, +) / Double(before.count)
                return (middle: middle, number: number, node: node)
            }.sorted { ($0.middle, $0.number) < ($1.middle, $1.number) }
            for (row, item) in sorted.enumerated() {
                places[item.node.name] = (
                    Self.margin + Double(column) * (Self.width + Self.columnGap),
                    Self.margin + Double(row) * (Self.height + Self.rowGap)
                )
            }
        }
        size.width = (places.values.map(\.x).max() ?? 0) + Self.width + Self.margin
        size.height = (places.values.map(\.y).max() ?? 0) + Self.height + Self.margin
    }

    /// Nothing without services.
    var svg: String {
        guard !nodes.isEmpty else { return "" }
        let (width, height) = (number(size.width), number(size.height))
        var svg =
            "<div class=\"wide\"><svg width=\"\(width)\""
            + " height=\"\(height)\" viewBox=\"0 0 \(width) \(height)\" role=\"img\""
            + " aria-label=\"services and what they wait for\">\n"
        let critical = Set(nodes.filter(\.isCritical).map(\.name))
        for node in nodes {
            for before in node.after {
                svg += edge(
                    from: before, to: node.name,
                    isCritical: critical.contains(before) && critical.contains(node.name))
            }
        }
        for node in nodes { svg += box(node) }
        return svg + "</svg></div>"
    }

    private func edge(from: String, to: String, isCritical: Bool) -> String {
        guard let start = places[from], let end = places[to] else { return "" }
        let (x1, y1) = (start.x + Self.width, start.y + Self.height / 2)
        let (x2, y2) = (end.x - 7, end.y + Self.height / 2)
        let bend = max(24, (x2 - x1) / 2)
        let path =
            "M\(number(x1)) \(number(y1)) C\(number(x1 + bend)) \(number(y1)) "
            + "\(number(x2 - bend)) \(number(y2)) \(number(x2)) \(number(y2))"
        let tip =
            "\(number(x2)),\(number(y2 - 4)) \(number(x2 + 7)),\(number(y2)) "
            + "\(number(x2)),\(number(y2 + 4))"
        return "<path d=\"\(path)\"\(isCritical ? " class=\"critical\"" : "")/>"
            + "<polygon points=\"\(tip)\"/>\n"
    }

    private func box(_ node: Node) -> String {
        guard let place = places[node.name] else { return "" }
        let kind = node.isGood.map { $0 ? " class=\"node-good\"" : " class=\"node-bad\"" } ?? ""
        let x = number(place.x + 10)
        func cut(_ text: String, _ limit: Int) -> String {
            text.count <= limit ? text : text.prefix(limit - 1) + "…"
        }
        let weight = node.isCritical ? " font-weight=\"700\"" : ""
        return "<g\(kind)><title>\(escaped(node.name))</title>"
            + "<rect x=\"\(number(place.x))\" y=\"\(number(place.y))\" width=\"\(number(Self.width))\""
            + " height=\"\(number(Self.height))\" rx=\"5\"/>"
            + "<text x=\"\(x)\" y=\"\(number(place.y + 18))\"\(weight)>"
            + "\(escaped(cut(node.name, 23)))</text>"
            + "<text class=\"small\" x=\"\(x)\" y=\"\(number(place.y + 35))\">"
            + "\(escaped(cut(node.detail, 28)))</text></g>\n"
    }

    private func number(_ value: Double) -> String { value.rounded(toPlaces: 1) }
}
