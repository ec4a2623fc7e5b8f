import Engine
import Model
import Testing

@testable import Workloads

struct ContainerDefinitionTests {
    private let id = String(repeating: "c5bd6808c57e9", count: 5).prefix(64)

    private func definition(
        _ config: [String: JSONValue] = [:], _ host: [String: JSONValue] = [:],
        networks: [String: JSONValue] = [:],
        mounts: [ContainerDefinition.MountDefinition] = [],
        surroundings: ContainerDefinition.Surroundings = .init()
    ) -> ContainerDefinition {
        let json: JSONValue = .object([
            "Id": .string(String(id)), "Name": .string("/web"), "Image": .string("sha256:aa"),
            "Config": .object(config), "HostConfig": .object(host),
            "State": .object(["Running": .bool(true)]),
            "NetworkSettings": .object(["Networks": .object(networks)]),
        ])
        return ContainerDefinition(
            of: ContainerInspection(json: json),
            image: ContainerDefinition.ImageIdentity(
                reference: "example.org/web:1", id: "sha256:aa", digests: [], layers: [],
                platform: "linux/amd64"),
            mounts: mounts, managesContainers: false, surroundings: surroundings)
    }

    @Test func whatTheEngineGeneratesIsNoPartOfIt() {
        let short = String(id.prefix(12))
        let made = definition(
            [
                "Hostname": .string(short), "Image": .string("example.org/web:1"),
                "Volumes": .null, "Labels": .object([:]),
            ],
            ["NetworkMode": .string("net"), "ContainerIDFile": .string("")],
            networks: [
                "net": .object([
                    "Aliases": .array([.string("www"), .string(short)]),
                    "IPAMConfig": .object(["IPv4Address": .string("172.31.5.9")]),
                    "IPAddress": .string("172.31.5.9"), "EndpointID": .string("e"),
                ])
            ])
        #expect(made.config["Hostname"] == .null)
        #expect(made.config.object?.keys.sorted() == ["Image"])
        #expect(made.hostConfig.object?.keys.sorted() == ["NetworkMode"])
        #expect(made.networks.count == 1)
        #expect(made.networks.first?.endpoint["Aliases"].strings == ["www"])
        #expect(
            made.networks.first?.endpoint["IPAMConfig"]["IPv4Address"].string == "172.31.5.9")
        #expect(made.networks.first?.endpoint["IPAddress"] == .null)
    }

    @Test func aNameOfItsOwnStays() {
        #expect(definition(["Hostname": .string("mail")]).config["Hostname"].string == "mail")
        let host = definition(
            ["Hostname": .string("box")], ["NetworkMode": .string("host")],
            surroundings: .init(hostName: "box"))
        #expect(host.config["Hostname"] == .null)
    }

    @Test func whatIsUnknownIsKept() throws {
        let made = definition(
            ["Tomorrow": .object(["a": .array([.integer(9_007_199_254_740_993)])])],
            ["Also": .number(0.5), "Off": .bool(false)])
        let bytes = try StableJSON.encodePretty(made)
        let again = try StableJSON.decode(ContainerDefinition.self, from: bytes)
        #expect(again == made)
        #expect(try StableJSON.encodePretty(again) == bytes)
        #expect(again.config["Tomorrow"]["a"] == .array([.integer(9_007_199_254_740_993)]))
        #expect(again.hostConfig["Off"] == .bool(false))
    }

    @Test func emptyMeansSomethingWhereTheEngineSaysSo() {
        let made = definition(
            ["Entrypoint": .array([])], ["MaskedPaths": .array([]), "ReadonlyPaths": .array([])])
        #expect(made.hostConfig["MaskedPaths"] == .array([]))
        let body = made.creation(image: "i", version: .oldest).body
        #expect(body["Entrypoint"] == .array([]))
        // The Engine's own list is left to the Engine of the day.
        let standard = definition([:], ["MaskedPaths": .array([.string("/proc/kcore")])])
        #expect(standard.hostConfig["MaskedPaths"] == .null)
    }

    @Test func oneNetworkAtCreationTheOthersAfter() {
        let made = definition(
            ["MacAddress": .string("02:42:ac:11:00:09")], ["NetworkMode": .string("b")],
            networks: ["a": .object([:]), "b": .object([:]), "c": .object([:])])
        let old = made.creation(image: "i", version: .oldest)
        #expect(old.further.map(\.network) == ["a", "c"])
        let endpoints = old.body["NetworkingConfig"]["EndpointsConfig"]
        #expect(endpoints.object?.keys.sorted() == ["b"])
        #expect(old.body["MacAddress"].string == "02:42:ac:11:00:09")
        let new = made.creation(image: "i", version: DockerAPIVersion(1, 44))
        #expect(new.body["MacAddress"] == .null)
        let endpoint = new.body["NetworkingConfig"]["EndpointsConfig"]["b"]
        #expect(endpoint["MacAddress"].string == "02:42:ac:11:00:09")
    }

    @Test func networkOfAnotherContainer() {
        let other = String(repeating: "d", count: 64)
        let made = definition(
            ["Hostname": .string("x"), "ExposedPorts": .object(["80/tcp": .object([:])])],
            ["NetworkMode": .string("container:\(other)")],
            surroundings: .init(containerNames: [other: "vpn"]))
        #expect(made.sharesWith == ["vpn"])
        let creation = made.creation(image: "i", version: .newest)
        #expect(creation.body["HostConfig"]["NetworkMode"].string == "container:vpn")
        #expect(creation.body["Hostname"] == .null)
        #expect(creation.body["ExposedPorts"] == .null)
    }

    @Test func anonymousVolumesAreNamed() {
        let name = String(repeating: "9", count: 64)
        let other = String(repeating: "8", count: 64)
        func volume(_ name: String, _ place: String) -> ContainerDefinition.MountDefinition {
            ContainerDefinition.MountDefinition(
                type: "volume", name: name, source: nil, destination: place, isWritable: true)
        }
        let made = definition(
            ["Volumes": .object(["/anon": .object([:])])],
            [
                "Binds": .array([.string("data:/data:rw")]),
                "Mounts": .array([
                    .object(["Type": .string("volume"), "Target": .string("/other")])
                ]),
            ],
            mounts: [volume("data", "/data"), volume(name, "/anon"), volume(other, "/other")])
        let host = made.creation(image: "i", version: .oldest).body["HostConfig"]
        #expect(host["Binds"].strings == ["data:/data:rw", "\(name):/anon"])
        #expect(host["Mounts"].array?.first?["Source"].string == other)
    }

    @Test func links() {
        let made = definition([:], ["Links": .array([.string("/db:/web/database")])])
        #expect(made.hostConfig["Links"].strings == ["db:database"])
        #expect(made.linksTo == ["db"])
    }

    @Test func composeDependencies() {
        let labels = ComposeLabels(labels: [
            "com.docker.compose.depends_on":
                "db:service_healthy:true,setup:service_completed_successfully:false,redis"
        ])
        #expect(labels.dependencies.map(\.service) == ["db", "setup", "redis"])
        #expect(labels.dependencies.map(\.condition) == [.healthy, .completed, .started])
    }

    @Test func imageNames() {
        let port = ImageReference("registry.example.org:5000/a/b")
        #expect(port.repository == "registry.example.org:5000/a/b")
        #expect(port.tag == nil)
        let all = ImageReference("a/b:1@sha256:cc")
        #expect(all.repository == "a/b" && all.tag == "1" && all.digest == "sha256:cc")
    }

    @Test func subnets() throws {
        let one = try #require(Subnet("172.31.5.0/24"))
        #expect(one.overlaps(try #require(Subnet("172.31.0.0/16"))))
        #expect(!one.overlaps(try #require(Subnet("172.31.6.0/24"))))
        #expect(Subnet("fd00::/64") == nil)
    }
}
