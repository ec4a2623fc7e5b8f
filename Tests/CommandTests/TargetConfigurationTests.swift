import Model
import Testing

@testable import dr

@Suite("targets: and restore: in dr.yaml")
struct TargetConfigurationTests {
    private let head = "repository: /r\nservices: {a: {files: [/a]}}\n"

    @Test("Everything arrives as it was meant, and is shown as it was meant")
    func everything() throws {
        let text =
            head + """
                restore: {jobs: 3, jobs_per_disk: 1, downloads: 5}
                targets:
                  spare: {docker: {host: "ssh://root@spare.example.org:2222"}}
                  copy:
                    names: {prefix: copy-, map: {umami: stats}}
                    ports: {offset: -100, map: {"443": 8443}}
                    root: copies
                    subnets: {172.31.5.0/24: 172.31.105.0/24}
                    hosts: {192.0.2.10: 127.0.0.1}
                    address: "::1"
                    postgres: {shop-db: "postgresql://postgres@db.example.org/postgres"}
                    labels: keep
                """
        let configuration = try ConfigurationFixture.read(text)
        #expect(
            configuration.recovery == RecoveryRules(jobs: 3, jobsPerDisk: 1, downloads: 5))
        var spare = TargetPlace(name: "spare")
        spare.engine = "ssh://root@spare.example.org:2222"
        var copy = TargetPlace(name: "copy")
        copy.prefix = "copy-"
        copy.names = ["umami": "stats"]
        copy.portOffset = -100
        copy.ports = [443: 8443]
        copy.root = "/etc/dr/copies"
        copy.subnets = ["172.31.5.0/24": "172.31.105.0/24"]
        copy.hosts = ["192.0.2.10": "127.0.0.1"]
        copy.address = "::1"
        copy.servers = ["shop-db": "postgresql://postgres@db.example.org/postgres"]
        copy.keepsLabels = true
        #expect(configuration.targets == [spare, copy])
        #expect(spare.reachedAt == "spare.example.org" && !spare.isBeside)
        #expect(copy.isBeside && !copy.sharesPaths)
        let shown = ConfigurationDocument(configuration: configuration).yaml
        let again = try ConfigurationFixture.read(shown)
        #expect(again.targets == configuration.targets)
        #expect(again.recovery == configuration.recovery)
    }

    @Test("What cannot be is refused, with its place")
    func mistakes() {
        func complaints(_ target: String) -> [String] {
            ConfigurationFixture.complaints(head + "targets:\n  \(target)")
                .map { String($0.prefix { $0 != "|" }).trimmingSuffix() }
        }
        #expect(
            complaints("here: {root: /x}") == [
                "dr.yaml:4:3: a target cannot be called here: that is this machine"
            ])
        #expect(
            complaints("t: {names: {map: {a: x, b: x}}}") == [
                "dr.yaml:4:27: targets.t.names.map: a and b would both be x"
            ])
        #expect(
            complaints("t: {ports: {map: {\"http\": 80}}}") == [
                "dr.yaml:4:21: a key in targets.t.ports.map must be the number of a port, not"
                    + " \"http\""
            ])
        #expect(
            complaints("t: {subnets: {10.0.0.0/24: 10.1.0.0/16}}") == [
                "dr.yaml:4:17: targets.t.subnets: 10.0.0.0/24 and its counterpart differ in size"
            ])
        #expect(
            complaints("t: {prots: {offset: 1}}") == [
                "dr.yaml:4:7: unknown key \"prots\" in targets.t"
            ])
    }
}

extension String {
    fileprivate func trimmingSuffix() -> String { hasSuffix(" ") ? String(dropLast()) : self }
}
