import Glibc
import Model
import TestSupport
import Testing

/// What goes wrong in ordinary nights: files in use, hooks that hang, a repository that rots.
@Suite("dr backup, in the corners")
struct NightCornerTests: CommandSuite {
    @Test(
        "Files that change and vanish while they are read cost nothing but themselves, and are named"
    )
    func filesInUse() async throws {
        try await NightWorld.with { world in
            let (scratch, dr) = (world.scratch, world.dr)
            try await shell(
                """
                mkdir -p site/coming; seq 100000 >site/still; head -c 20000000 /dev/zero >site/written
                for n in $(seq 3000); do echo $n >site/coming/$n; done
                """, in: scratch)
            try scratch.write(
                "dr.yaml", "repository: repo\nservices:\n  site: {files: [site]}\n")
            // One writes into the large file without a pause, the other makes files come and go.
            let writers = try OutsideProgram(
                [
                    "bash", "-c",
                    """
                    (while :; do dd if=/dev/urandom of=site/written bs=64k count=2 seek=$((RANDOM % 300)) \
                      conv=notrunc status=none; done) &
                    while :; do for n in $(seq 3000); do rm -f site/coming/$n; \
                      echo again >site/coming/$((n % 50)).new; done; done
                    """,
                ], directory: scratch.path, timeout: .seconds(120)
            ).start()
            let saved = try await dr.run("backup")
            writers.signalGroup(SIGKILL)
            _ = try await writers.outcome()
            #expect([0, 3].contains(saved.status), "\(saved)")
            let list = try await dr.run("snapshots", "--json").text
            #expect(
                list.contains("site/written: changed while it was read"), "\(list)")
            expect(try await dr.run("check", "--read-data"), .done)
            expect(try await dr.run("restore", "site", "--to", "./back", "--yes"), .done)
            try await shell(
                "cmp site/still \"$(find back -name still)\"; test -s \"$(find back -name written)\"",
                in: scratch)
        }
    }

    @Test("A hook that hangs is ended after its time, and what it was for is not captured")
    func hangingHook() async throws {
        try await NightWorld.with { world in
            try world.scratch.write(
                "dr.yaml",
                """
                repository: repo
                services:
                  a:
                    command: {capture: echo x}
                    hooks: {before: sleep 600, after: touch after-ran, timeout: 1s}
                  b: {command: {capture: echo x}}
                """)
            let outcome = try await world.dr.run("backup")
            expect(
                outcome, .partial, "1 of 2 saved", "the hook before (sleep)",
                "took longer than 1.0 s")
            #expect(outcome.elapsed < .seconds(20))
            #expect(access(world.scratch.path("after-ran"), F_OK) == 0)
        }
    }

    @Test("A sample of the repository is read back after a run, another one each time")
    func sample() async throws {
        try await NightWorld.with { world in
            let (scratch, dr) = (world.scratch, world.dr)
            try await shell("mkdir site; head -c 3000000 /dev/urandom >site/data", in: scratch)
            try scratch.write(
                "dr.yaml",
                """
                repository: repo
                backup: {check: 50}
                services:
                  site: {files: [site]}
                  slow: {command: {capture: [sh, -c, 'sleep 1; echo x']}}
                """)
            /// What a short run has no time for, one of the next ones has.
            func night(_ isIt: (OutsideProgram.Outcome) -> Bool) async throws {
                var nights: [OutsideProgram.Outcome] = []
                for _ in 0..<20 {
                    nights.append(try await dr.run("backup"))
                    if nights.last.map(isIt) ?? false { return }
                }
                Issue.record("\(nights)")
            }
            for _ in 1...2 {
                try await night { $0.status == 0 && $0.errorText.contains("packs (") }
            }
            try await shell(
                """
                find repo -type f -size +100k | while read pack; do
                  printf 'ROTTEN' | dd of="$pack" bs=1 seek=50000 conv=notrunc status=none; done
                """, in: scratch)
            try await night {
                $0.status == ExitCode.damaged.rawValue
                    && $0.errorText.contains("the sample check: ")
            }
        }
    }
}
