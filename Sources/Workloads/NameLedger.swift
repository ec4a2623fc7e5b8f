/// What a run remembers of the names it makes, so that it can go on after its process was killed.
///
/// Names are those of ``ReplayStep/makes``. What is said is durable when a call returns.
public protocol NameLedger: Sendable {
    /// Whether this run itself made what has the name: it is dropped and made again.
    func isOwn(_ name: String) -> Bool

    /// Where this run was about to move what had the name before; nil when it was not.
    func aside(of name: String) -> String?

    /// The name was seen to be free and is made next: from here on it is the run's own.
    func claim(_ name: String) async

    /// Somebody else took the name in the last moment: it is not the run's own.
    func disclaim(_ name: String) async

    /// What has the name is moved to `place` next.
    func moveAside(_ name: String, to place: String) async
}

/// Remembers nothing: every name that is taken is somebody else's.
public struct NoLedger: NameLedger {
    public init() {}
    public func isOwn(_ name: String) -> Bool { false }
    public func aside(of name: String) -> String? { nil }
    public func claim(_ name: String) async {}
    public func disclaim(_ name: String) async {}
    public func moveAside(_ name: String, to place: String) async {}
}

/// Names of another machine, kept by the ledger of the run with its address before them.
private struct ScopedLedger: NameLedger {
    let base: any NameLedger
    let scope: String

    func isOwn(_ name: String) -> Bool { base.isOwn(scope + name) }
    func aside(of name: String) -> String? { base.aside(of: scope + name) }
    func claim(_ name: String) async { await base.claim(scope + name) }
    func disclaim(_ name: String) async { await base.disclaim(scope + name) }
    func moveAside(_ name: String, to place: String) async {
        await base.moveAside(scope + name, to: place)
    }
}

extension WorkloadContext {
    /// The same, with names that are those of one machine.
    ///
    /// - Parameter scope: What stands before them in the plan; empty for this machine.
    func within(_ scope: String) -> WorkloadContext {
        guard !scope.isEmpty else { return self }
        var context = self
        context.ledger = ScopedLedger(base: ledger, scope: scope)
        context.planned = Set(
            planned.filter { $0.hasPrefix(scope) }.map { String($0.dropFirst(scope.count)) })
        return context
    }
}

extension ReplayStep {
    /// The same, with the names it makes told apart from those of other machines.
    func within(_ scope: String) -> ReplayStep {
        var step = self
        step.makes = makes.map { scope + $0 }
        return step
    }
}

/// What several machines may have of one name, told apart by what stands before the name.
public enum ScopedName {
    /// The name as its own machine has it.
    public static func local(_ name: String) -> Substring {
        guard name.hasPrefix("ssh://") else { return name[...] }
        return name.drop { $0 != " " }.dropFirst()
    }
}

extension PreflightFinding {
    func within(_ scope: String) -> PreflightFinding {
        var finding = self
        finding.name = name.map { scope + $0 }
        return finding
    }
}

/// One name that a step is about to make, and what the run remembers of it.
package struct NameClaim: Sendable {
    package let name: String
    private let ledger: any NameLedger

    package init(_ name: String, in ledger: any NameLedger) {
        self.name = name
        self.ledger = ledger
    }

    /// A name that nobody keeps account of.
    package static var unrecorded: NameClaim { NameClaim("", in: NoLedger()) }

    /// This run itself made what has the name: it is dropped and made again.
    package var isOwn: Bool { ledger.isOwn(name) }
    /// Where this run was about to move what had the name before.
    package var aside: String? { ledger.aside(of: name) }
    /// The name is free and is made next.
    package func claim() async { await ledger.claim(name) }
    /// Somebody else was faster.
    package func disclaim() async { await ledger.disclaim(name) }
    /// What has the name is moved to `place` next.
    package func moveAside(to place: String) async { await ledger.moveAside(name, to: place) }
}
