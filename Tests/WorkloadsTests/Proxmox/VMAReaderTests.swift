import Crypto
import Model
import TestSupport
import Testing
import Workloads

/// What Proxmox's own tool wrote is read as that tool reads it; what it would let pass and is not
/// whole is refused.
@Suite struct VMAReaderTests {
    @Test(arguments: [
        ("small", "small"), ("two-disk", "two-disk"), ("reordered", "two-disk"),
        ("one-per-extent", "two-disk"),
    ])
    func samplesGiveTheSumsOfTheRealTool(_ sample: String, _ sums: String) async throws {
        let archive = try await VMASamples.load("valid/\(sample).vma.zst")
        let expected = try VMASamples.sums(of: sums)
        #expect(!expected.isEmpty)
        #expect(try MemoryDisks.read(archive).sums == expected)
    }

    @Test func disksOfOddSizesAndArchivesWithoutDisksAreRead() async throws {
        let odd = try MemoryDisks.read(try await VMASamples.load("valid/odd.vma.zst"))
        #expect(odd.disks["drive-scsi0"]?.count == 70_144)
        // As in the messages of the real tool.
        #expect(odd.sums["disk-drive-scsi0.raw"]?.hasPrefix("dc24c2ff67285064") == true)
        let empty = try MemoryDisks.read(try await VMASamples.load("valid/empty.vma.zst"))
        #expect(empty.disks.isEmpty && empty.header?.configurations.isEmpty == false)
    }

    @Test func readsInPiecesOfAnySize() async throws {
        var random = SeededRandom.announced()
        let archive = try await VMASamples.load("valid/small.vma.zst")
        let memory = try MemoryDisks.read(archive) { Int.random(in: 1...5000, using: &random) }
        #expect(memory.sums == (try VMASamples.sums(of: "small")))
    }

    @Test(arguments: [
        ("wronguuid", "an extent belongs to another archive"),
        ("truncated-boundary", "it ends without cluster 142 of drive-scsi0"),
        ("dupextent", "cluster 57 of drive-scsi0 comes twice"),
        ("no-zero-clusters", "it ends without cluster 4 of drive-scsi0"),
    ])
    func damagedSamplesAreRefusedByName(_ sample: String, _ reason: String) async throws {
        let archive = try await VMASamples.load("bad/\(sample).vma.zst")
        let thrown = #expect(throws: VMAError.self) { try MemoryDisks.read(archive) }
        let error = try #require(thrown)
        #expect(error.reason.hasPrefix(reason), "\(error)")
        if sample.hasPrefix("truncated") { #expect(error.offset == UInt64(archive.count)) }
    }

    /// A change of one sample, and where it is noticed.
    private func refuse(
        _ change: (inout [UInt8]) -> Void, _ reason: String, at offset: UInt64,
        in location: SourceLocation = #_sourceLocation
    ) async throws {
        var archive = try await VMASamples.load("valid/two-disk.vma.zst")
        change(&archive)
        let error = #expect(throws: VMAError.self, sourceLocation: location) {
            try MemoryDisks.read(archive)
        }
        #expect(
            error?.reason.contains(reason) == true, "\(String(describing: error))",
            sourceLocation: location)
        #expect(error?.offset == offset, sourceLocation: location)
    }

    @Test func everyKindOfDamageIsNamedWithItsPlace() async throws {
        let length = try await VMASamples.load("valid/two-disk.vma.zst").count
        // The same edits as those of the samples that the real tool was shown.
        try await refuse({ $0[4143] ^= 1 }, "the header's checksum is wrong", at: 32)
        try await refuse({ $0[0] ^= 1 }, "does not begin as a VMA archive", at: 0)
        try await refuse(
            { $0.removeLast($0.count - 803_208) }, "bytes of data instead of", at: 797_696)
        try await refuse({ $0.removeLast($0.count - 5000) }, "ends within its header", at: 5000)
        try await refuse({ $0.removeAll() }, "it is empty", at: 0)
        try await refuse(
            { $0 += [UInt8](repeating: 0, count: 512) }, "zeros follow its end", at: UInt64(length))
        try await refuse(
            { $0 += Array("trailing garbage..".utf8) }, "only 18 bytes of an extent's header",
            at: UInt64(length))
    }

    @Test func aBitOfAnExtentsHeaderIsNoticedAndOneOfItsDataIsNot() async throws {
        var archive = try await VMASamples.load("valid/two-disk.vma.zst")
        archive[702_509] ^= 1
        let error = #expect(throws: VMAError.self) { try MemoryDisks.read(archive) }
        #expect(error?.reason == "an extent's checksum is wrong")
        archive[702_509] ^= 1
        archive[703_076] ^= 1
        // The format has no sum over data: the disks that come out are what the archive says.
        #expect(
            try MemoryDisks.read(archive).sums["disk-drive-scsi1.raw"]?.hasPrefix(
                "ae2c4da12259850e") == true)
    }

    @Test func extentsThatContradictThemselvesAreRefused() async throws {
        let sample = try await VMASamples.load("valid/two-disk.vma.zst")
        let start =
            Int(sample[56]) << 24 | Int(sample[57]) << 16 | Int(sample[58]) << 8
            | Int(sample[59])
        func refused(_ reason: String, _ change: (inout [UInt8]) -> Void) {
            var archive = sample
            change(&archive)
            // With the right sum: whoever made it meant it.
            for index in 24..<40 { archive[start + index] = 0 }
            let sum = Array(Insecure.MD5.hash(data: archive[start..<(start + 512)]))
            archive.replaceSubrange((start + 24)..<(start + 40), with: sum)
            let error = #expect(throws: VMAError.self) { try MemoryDisks.read(archive) }
            #expect(
                error?.reason.contains(reason) == true,
                "\(String(describing: error)), not \(reason)")
        }
        refused("there is no disk number 9") { $0[start + 40 + 3] = 9 }
        refused("lies behind the end") { $0[start + 40 + 4] = 1 }
        refused("reserved byte") { $0[start + 40 + 2] = 1 }
        refused("no extent has") { $0[start + 6] = 0xFF }
        refused("does not begin as one does") { $0[start] = 0 }
        // One block less is named than there is.
        refused("blocks and names") { archive in
            var slot = 0
            while archive[start + 41 + 8 * slot] & 1 == 0 { slot += 1 }
            archive[start + 41 + 8 * slot] ^= 1
        }
    }

    @Test func aDiskOfPetabytesThatIsOnlyClaimedTakesNoMemory() throws {
        var header = VMAHeader(
            uuid: [UInt8](repeating: 7, count: 16), created: 0,
            configurations: [.init(name: "qemu-server.conf", data: [10])], devices: [])
        for number in 1...254 {
            header.devices.append(.init(number: number, name: "d\(number)", length: 512))
        }
        var archive: [UInt8] = []
        _ = try VMAWriter(header) { archive += $0 }
        for number in 1...254 {
            let place = 4096 + 32 * number + 8
            archive.replaceSubrange(place..<(place + 8), with: [0, 1, 0, 0, 0, 0, 0, 0])
        }
        for index in 32..<48 { archive[index] = 0 }
        archive.replaceSubrange(32..<48, with: Array(Insecure.MD5.hash(data: archive)))
        let error = #expect(throws: VMAError.self) { try MemoryDisks.read(archive) }
        #expect(error?.reason.contains("cluster 0 of d1, 4294967296 of 4294967296") == true)
    }

    /// Every archive is read or refused with a reason; nothing else happens to anything.
    @Test func mutatedArchivesNeverDoHarm() async throws {
        var random = SeededRandom.announced()
        let sample = Array(try await VMASamples.load("valid/odd.vma.zst"))
        let start = Int(sample[58]) << 8 | Int(sample[59])
        for _ in 0..<(TestEnvironment.isFull ? 2_000_000 : 300) {
            var archive = sample
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                // Mostly where the structure is.
                let place =
                    Bool.random(using: &random)
                    ? Int.random(in: 0..<min(archive.count, start + 512), using: &random)
                    : Int.random(in: 0..<archive.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: archive[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 1: archive[place] = UInt8.random(in: 0...255, using: &random)
                case 2: archive.removeLast(archive.count - place)
                default:
                    let count = min(Int.random(in: 1...8, using: &random), archive.count - place)
                    for index in place..<(place + count) { archive[index] = 0xFF }
                }
                if archive.count < start + 512 { break }
            }
            if archive.count >= start + 512, Bool.random(using: &random) {
                // With right sums, so that what lies behind them is reached.
                for (from, to, sum) in [(0, start, 32), (start, start + 512, 24)] {
                    for index in 0..<16 { archive[from + sum + index] = 0 }
                    let right = Array(Insecure.MD5.hash(data: archive[from..<to]))
                    archive.replaceSubrange((from + sum)..<(from + sum + 16), with: right)
                }
            }
            do { _ = try MemoryDisks.read(archive) } catch is VMAError {}
        }
    }
}
