import Testing

@testable import Workloads

struct MountRulesTests {
    private let rules = MountRules(
        dataRoot: "/var/lib/docker", sockets: ["/run/docker.sock"])

    private func exclusion(
        _ path: String, _ kind: MountRules.Source.Kind = .directory,
        on fileSystem: MountRules.Source.FileSystem = .local
    ) -> String? {
        rules.exclusion(of: MountRules.Source(path: path, kind: kind, fileSystem: fileSystem))
    }

    @Test(arguments: [
        "/", "/proc", "/proc/1", "/sys", "/dev", "/dev/dri", "/run", "/run/user/1000",
        "/var/lib/docker", "/var/lib/docker/volumes/a/_data", "/lib/modules/6.1",
    ])
    func whatBelongsToTheMachineIsNeverData(_ path: String) { #expect(exclusion(path) != nil) }

    @Test(arguments: ["/srv/www", "/process", "/runner", "/var/lib", "/var/lib/docker-data"])
    func otherDirectoriesAreData(_ path: String) { #expect(exclusion(path) == nil) }

    @Test func socketsDevicesAndSharesAreNeverData() {
        #expect(exclusion("/srv/app.sock", .special) != nil)
        #expect(exclusion("/srv/media", on: .network("nfs4")) != nil)
        #expect(exclusion("/srv/app.conf", .file) == nil)
    }

    @Test func whoCanReachTheEngine() {
        #expect(rules.reachesEngine("/run/docker.sock"))
        #expect(rules.reachesEngine("/run"))
        #expect(rules.reachesEngine("/"))
        #expect(!rules.reachesEngine("/run/docker"))
        #expect(!rules.reachesEngine("/srv"))
    }

    @Test func mountTable() {
        let table = """
            22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
            40 22 0:35 / /srv/my\\040media rw shared:9 master:1 - nfs4 host:/x rw
            41 22 0:36 / /srv/cloud rw - fuse.sshfs host: rw
            42 22 0:37 / /srv/pool rw - fuse.mergerfs a:b rw
            """
        let mounts = MountedFileSystem.parse(table)
        #expect(mounts.count == 4)
        func kind(_ path: String) -> MountRules.Source.FileSystem? {
            MountedFileSystem.holding(path, in: mounts)?.kind
        }
        #expect(kind("/srv/my media/films") == .network("nfs4"))
        #expect(kind("/srv/cloud") == .network("fuse.sshfs"))
        #expect(kind("/srv/pool/a") == .local)
        #expect(kind("/srv/cloudy") == .local)
    }
}
