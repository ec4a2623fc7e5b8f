import Model
import TestSupport
import Testing
import Workloads

/// What becomes of a snapshot's steps at a target with names of its own; no Engine is asked.
@Suite("Names at a target")
struct TargetPlaceTests {
    private func place(_ change: (inout TargetPlace) -> Void = { _ in }) -> TargetPlace {
        var place = TargetPlace(name: "standby")
        place.prefix = "sb-"
        change(&place)
        return place
    }

    /// A container as the catalogue of parts holds it.
    private func document(_ name: String, _ more: String = "", host: String = "") -> [UInt8] {
        Array(
            """
            {"format": 1, "name": "\(name)", "image": {"reference": "i", "id": "sha256:1",
             "digests": [], "layers": [], "platform": "linux/amd64"},
             "config": {"Image": "i"}, "hostConfig": {"NetworkMode": "shop" \(host)},
             "networks": [{"network": "shop", "endpoint": {}}], "mounts": [\(more)],
             "wasRunning": true, "managesContainers": \(name == "portainer")}
            """.utf8)
    }

    private func source(_ containers: [String: [UInt8]], driver: String = "bridge") async throws
        -> ScriptedSource
    {
        let sink = ScriptedSink()
        for (name, bytes) in containers {
            try await sink.document("container/\(name).json", bytes, attributes: [:])
        }
        let network = """
            {"format": 1, "name": "shop", "network": {"Driver": "\(driver)"}}
            """
        try await sink.document("network/shop.json", Array(network.utf8), attributes: [:])
        return sink.source(
            CaptureOutcome(consistency: .crash), service: service,
            .docker(DockerSpecification(subject: .container("shop"))))
    }

    private let service = Service(name: "shop", workloads: [])

    @Test("Everything has the target's name, wherever it is spoken of")
    func names() async throws {
        let source = try await source([
            "web": document(
                "web",
                """
                {"type": "volume", "name": "data", "destination": "/d", "isWritable": true}
                """),
            "db": document("db"),
        ])
        let target = ReplayTarget.place(place { $0.names = ["db": "database"] })
        let steps = try await DockerDriver().replaySteps(
            for: source, service: service, target: target)
        #expect(
            Set(steps.flatMap(\.makes))
                == ["network/sb-shop", "image/sha256:1", "container/sb-web", "container/database"])
        let known = Set(steps.map(\.id))
        for step in steps {
            #expect(step.needs.allSatisfy(known.contains), "\(step.id) \(step.needs)")
        }
        #expect(
            try await DockerDriver().omissions(from: source, service: service, target: target)
                == [])
    }

    @Test("What would reach the original is left out, with the reason")
    func obstacles() async throws {
        let share = """
            {"type": "bind", "source": "/mnt/nas", "destination": "/d", "isWritable": true,
             "omitted": "it is a network file system (nfs4)"}
            """
        let source = try await source([
            "web": document("web"), "portainer": document("portainer"),
            "sidecar": document("sidecar", host: ", \"PidMode\": \"container:portainer\""),
            "media": document("media", share),
            "probe": document("probe", host: ", \"PidMode\": \"host\""),
        ])
        let driver = DockerDriver()
        let omissions = try await driver.omissions(
            from: source, service: service, target: .place(place()))
        #expect(
            omissions.map { String($0.split(separator: " ")[1]) } == [
                "media", "portainer", "probe", "sidecar",
            ])
        let steps = try await driver.replaySteps(
            for: source, service: service, target: .place(place()))
        #expect(
            steps.flatMap(\.makes).filter { $0.hasPrefix("container/") } == ["container/sb-web"])
        // Elsewhere, under the same names, they are what they were.
        let elsewhere = ReplayTarget.place(TargetPlace(name: "spare"))
        #expect(
            try await driver.omissions(from: source, service: service, target: elsewhere) == [])
        #expect(
            try await driver.replaySteps(for: source, service: service, target: elsewhere)
                == driver.replaySteps(for: source, service: service, target: .here))
    }

    @Test("Two things cannot have one name, and a port must be one")
    func impossible() async throws {
        let source = try await source(["web": document("web"), "db": document("db")])
        let twins = place { $0.names = ["web": "x", "db": "x"] }
        await #expect(throws: Failure.self) {
            try await DockerDriver().replaySteps(
                for: source, service: service, target: .place(twins))
        }
        let high = place { $0.portOffset = 65_000 }
        #expect(throws: Failure.self) { try high.port(of: 8080) }
        #expect(try high.port(of: 80) == 65_080)
    }

    @Test("Checks ask the copy, whatever their addresses say")
    func checks() throws {
        let place = place {
            $0.portOffset = 10_000
            $0.ports = [443: 8443]
            $0.hosts = ["db.example.org": "192.0.2.7"]
        }
        func placed(_ kind: CheckSpecification.Kind) throws -> CheckSpecification? {
            try place.check(CheckSpecification(kind))
        }
        let web = try placed(.http(url: "https://shop.example.org/a", status: 200, body: nil))
        #expect(web?.through?.description == "127.0.0.1:8443")
        #expect(web?.through?.ports[80] == 10_080)
        let local = try placed(.http(url: "http://[::1]:3000/", status: 200, body: nil))
        #expect(local?.through?.description == "127.0.0.1:13000")
        #expect(
            try placed(.tcp(host: "db.example.org", port: 5432))?.kind
                == .tcp(host: "192.0.2.7", port: 15_432))
        #expect(try placed(.container("web"))?.kind == .container("sb-web"))
        #expect(try placed(.command(["true"])) == nil)
    }

    private var drill: ReplayTarget {
        .place(
            TargetPlace(
                name: "drill",
                isolation: DrillIsolation(
                    run: .zero, repository: .zero, directory: "/var/tmp/dr-drill-00000000")))
    }

    @Test(
        "A drill leaves out what needs the machine itself, and says so",
        arguments: [
            (", \"Privileged\": true", "", "privileged"),
            (", \"PidMode\": \"host\"", "", "processes"),
            (", \"Devices\": [{\"PathOnHost\": \"/dev/dri\"}]", "", "devices"),
            (", \"CapAdd\": [\"CAP_SYS_ADMIN\"]", "", "SYS_ADMIN"),
            (
                "",
                """
                {"type": "bind", "source": "/run/docker.sock", "destination": "/s",
                 "isWritable": false, "omitted": "it is a socket or device"}
                """, "/run/docker.sock"
            ),
            (
                "",
                """
                {"type": "bind", "source": "/mnt/nas", "destination": "/n", "isWritable": true,
                 "omitted": "it is a network file system (nfs4)"}
                """, "/mnt/nas"
            ),
        ])
    func leftOut(host: String, mount: String, reason: String) async throws {
        let source = try await source([
            "web": document("web"), "far": document("far", mount, host: host),
        ])
        let steps = try await DockerDriver().replaySteps(
            for: source, service: service, target: drill)
        #expect(
            steps.flatMap(\.makes).filter { $0.hasPrefix("container/") }
                == ["container/drill-00000000-web"])
        let omissions = try await DockerDriver().omissions(
            from: source, service: service, target: drill)
        #expect(omissions.count == 1)
        #expect(omissions.first?.contains("far") == true)
        #expect(omissions.first?.contains(reason) == true, "\(omissions)")
    }

    @Test("In a drill a network that reaches beyond the machine is one that does not")
    func farNetwork() async throws {
        let source = try await source(["web": document("web")], driver: "macvlan")
        let steps = try await DockerDriver().replaySteps(
            for: source, service: service, target: drill)
        #expect(steps.flatMap(\.makes).contains("network/drill-00000000-shop"))
        #expect(steps.flatMap(\.makes).contains("container/drill-00000000-web"))
    }

    @Test("Checks ask the container that a port leads to, wherever the address points")
    func drilledChecks() throws {
        var isolation = DrillIsolation(run: .zero, repository: .zero, directory: "/x")
        isolation.endpoints = [
            DrillEndpoint(
                service: "proxy", container: "caddy", published: [443: 8443], exposed: []),
            DrillEndpoint(service: "app", container: "api", published: [:], exposed: [3000]),
        ]
        let place = TargetPlace(name: "drill", isolation: isolation)
        func check(_ kind: CheckSpecification.Kind, of service: ServiceName) throws
            -> CheckSpecification?
        { try place.check(CheckSpecification(kind), of: service) }
        let web = try check(
            .http(url: "https://www.example.org/x", status: 200, body: nil), of: "app")
        #expect(web?.through?.host == "drill-00000000-caddy")
        #expect(web?.through?.isContainer == true)
        #expect(web?.through?.ports[443] == 8443)
        let direct = try check(
            .http(url: "http://192.0.2.7:3000/", status: 200, body: nil), of: "app")
        #expect(direct?.through?.host == "drill-00000000-api")
        #expect(direct?.through?.ports[3000] == 3000)
        #expect(try check(.tcp(host: "127.0.0.1", port: 9), of: "none") == nil)
        #expect(try check(.command(["true"]), of: "app") == nil)
        #expect(try check(.container("left-out"), of: "app") == nil)
    }
}
