import FoundationEssentials
import Model
import TestSupport
import Testing

@Suite("Runbooks")
struct RunbookTests {
    private static let pages = [
        "host-lost", "volume-deleted", "postgres-corrupted", "vm-lost", "ransomware",
        "repository-damaged", "key-lost", "disk-full", "quarterly-drill", "first-setup",
    ]

    @Test("Every page has the same headings in the same order", arguments: pages)
    func headings(page: String) throws {
        let runbook = try Runbook(Checkout.path("Runbooks/\(page).md"))
        #expect(runbook.headings == Runbook.headings)
        #expect(runbook.lines.contains { if case .dr = $0 { true } else { false } })
    }

    @Test(
        "Every line of a page does what the page says",
        arguments: [
            "host-lost", "ransomware", "repository-damaged", "key-lost", "disk-full", "first-setup",
        ])
    func files(page: String) async throws { try await follow(page) }

    @Test(
        "Every line of a page about PostgreSQL does what the page says",
        .enabled(if: TestEnvironment.hasPostgres, "needs PostgreSQL's server programs"),
        arguments: ["postgres-corrupted", "quarterly-drill"])
    func postgres(page: String) async throws { try await follow(page) }

    @Test(
        "Every line of the page about a deleted volume does what the page says",
        .enabled(if: TestEnvironment.hasDocker, "needs a Docker Engine"),
        .enabled(if: TestEnvironment.isRoot, "looking into volumes needs root"))
    func docker() async throws { try await follow("volume-deleted") }

    @Test(
        "Every line of the page about a lost machine of Proxmox does what the page says",
        .enabled(if: ProxmoxLab.isPossible, "needs root, sshd and python3"))
    func proxmox() async throws {
        try await ProxmoxLab.with { lab in
            try lab.makeMachine(
                101, on: "pve1", disks: [("scsi0", 1 << 20)], "name: vm1\nonboot: 1",
                seed: TestEnvironment.seed)
            try lab.write(configuration: "  vm: {proxmox: {vm: 101, node: {ssh: root@pve1}}}")
            try require(await lab.dr.run("backup"), endsWith: .done)
            let runbook = try Runbook(Checkout.path("Runbooks/vm-lost.md"))
            #expect(runbook.world == "proxmox")
            for line in runbook.lines {
                switch line {
                case .dr(let words, let codes):
                    let placed = words.map { $0.hasPrefix("/") ? lab.scratch.path + $0 : $0 }
                    let outcome = try await lab.dr.program(placed).run()
                    #expect(codes.contains(outcome.status), "\(words): \(outcome)")
                case .world(let words):
                    #expect(words == "destroy-guests")
                    try lab.destroyGuests()
                }
            }
        }
    }

    private func follow(_ page: String) async throws {
        let runbook = try Runbook(Checkout.path("Runbooks/\(page).md"))
        try await TemporaryDirectory.with("runbook") { scratch in
            let world = try await RunbookWorld(try #require(runbook.world), in: scratch)
            for line in runbook.lines {
                switch line {
                case .dr(let words, let codes):
                    let outcome = try await world.run(words)
                    #expect(
                        codes.contains(outcome.status),
                        "dr \(words.joined(separator: " ")): \(outcome)")
                case .world(let script): try await world.change(script)
                }
            }
        }
    }
}
