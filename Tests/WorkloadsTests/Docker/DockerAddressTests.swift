import Model
import TestSupport
import Testing
import Workloads

struct DockerAddressTests {
    @Test func theFirstThatSaysSomethingCounts() async throws {
        try await TemporaryDirectory.with("context") { directory in
            try directory.makeDirectory("contexts/meta/0a")
            try directory.write("config.json", #"{"currentContext":"box"}"#)
            try directory.write(
                "contexts/meta/0a/meta.json",
                #"{"Name":"box","Endpoints":{"docker":{"Host":"unix:///box.sock"}}}"#)
            var environment = ["DOCKER_CONFIG": directory.path]
            func resolve(_ configured: String?) throws -> String {
                try DockerAddress.resolve(configured: configured, environment: environment)
                    .description
            }
            #expect(try resolve(nil) == "unix:///box.sock")
            environment["DOCKER_HOST"] = "unix:///host.sock"
            #expect(try resolve(nil) == "unix:///host.sock")
            #expect(try resolve("unix:///mine.sock") == "unix:///mine.sock")
            environment["DOCKER_HOST"] = nil
            environment["DOCKER_CONTEXT"] = "gone"
            #expect(throws: Failure.self) { try resolve(nil) }
            environment["DOCKER_CONTEXT"] = "default"
            #expect(try resolve(nil) == "unix:///var/run/docker.sock")
        }
    }

    @Test func addressesOfOtherMachinesAreRefusedInWords() async throws {
        let failure = await #expect(throws: Failure.self) {
            try await DockerEngine.connect(
                address: DockerAddress(parsing: "tcp://example.org:2375"))
        }
        #expect(
            failure?.message
                == "the Docker Engine tcp://example.org:2375 would be spoken to in the open")
        #expect(throws: Failure.self) { try DockerAddress(parsing: "docker.sock") }
    }

    @Test func anEngineThatDoesNotAnswer() async throws {
        let failure = await #expect(throws: Failure.self) {
            try await DockerEngine.connect(address: .unix("/nonexistent/docker.sock"))
        }
        #expect(
            failure?.message
                == "the Docker Engine at unix:///nonexistent/docker.sock does not answer")
        #expect(failure?.hint == "start Docker, or set docker.host in the configuration")
    }
}
