import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// Machines that write into one bucket at once while another one prunes it.
@Suite("Three writers and a prune", .enabled(if: TestEnvironment.hasS3, "needs an S3 server"))
struct ManyWritersTests {
    @Test("Nobody waits, nobody is refused, and everything that was said to be safe comes back")
    func rounds() async throws {
        try await TemporaryDirectory.with("writers") { scratch in
            var dr = try DrBinary(in: scratch)
            dr.environment["AWS_ACCESS_KEY_ID"] = TestEnvironment.s3Key
            dr.environment["AWS_SECRET_ACCESS_KEY"] = TestEnvironment.s3Secret
            let name = String(UInt64.random(in: 0 ... .max), radix: 16)
            let place = "s3:\(TestEnvironment.s3Endpoint ?? "")/writers/\(name)"
            try scratch.write("dr.yaml", "repository: \(place)\n")
            try await dr.initializeWithKey()
            var machines: [DrBinary] = []
            for number in 1...3 {
                var machine = dr
                machine.environment["XDG_STATE_HOME"] = scratch.path("state\(number)")
                machine.environment["DR_CONFIG"] = "\(number).yaml"
                try scratch.write(
                    "\(number).yaml",
                    "repository: \(place)\nservices: {site\(number): {files: [site\(number)]}}\n")
                try scratch.makeDirectory("site\(number)")
                machines.append(machine)
            }
            let writers = machines
            let pruner = dr
            let rounds = TestEnvironment.isFull ? 100 : 3
            for round in 1...rounds {
                // All three share half of what they have; the rest changes from round to round.
                try await shell(
                    """
                    head -c 400000 /dev/urandom >shared
                    for n in 1 2 3; do
                      cp shared site$n/shared; seq $n $((n + \(round) * 999)) >site$n/own
                      head -c 300000 /dev/urandom >site$n/random
                    done
                    """, in: scratch)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for writer in writers {
                        group.addTask {
                            expect(try await writer.run("backup"), .done, "1 of 1 saved")
                        }
                    }
                    group.addTask {
                        let prune = try await pruner.run("prune", "--keep-last", "2", "--yes")
                        // While others write it deletes nothing, and says so.
                        #expect(prune.status == 0 || prune.status == 11, "\(prune)")
                    }
                    try await group.waitForAll()
                }
                for (number, writer) in writers.enumerated() {
                    let site = "site\(number + 1)"
                    expect(
                        try await writer.run("restore", site, "--to", "./back", "--yes"), .done)
                    try await shell(
                        "diff -r \(site) $(find back -name \(site) -type d | tail -1); rm -rf back",
                        in: scratch)
                }
            }
            expect(try await pruner.run("prune", "--yes"), .done)
            expect(try await pruner.run("check", "--read-data"), .done)
        }
    }
}
