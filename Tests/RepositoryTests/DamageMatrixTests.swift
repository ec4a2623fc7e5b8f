import Engine
import FoundationEssentials
import Model
import Repository
import RepositorySupport
import Synchronization
import TestSupport
import Testing

/// A repository with every kind of object in it, and what its snapshots hold.
private struct Showcase: Sendable {
    static let credential = Credential.key([UInt8](repeating: 1, count: 32))
    let store: MemoryStore
    /// Good bytes of every object.
    let objects: [ObjectKey: Data]
    /// Objects that no snapshot needs.
    let idle: Set<ObjectKey>
    /// By service, snapshot, part and path: the content and its bytes.
    let files: [Place: (content: ContentReference, bytes: [UInt8])]
    /// What the machine that made it remembers.
    let index: MemoryChunkIndex
    let heads: [ChainHead]

    struct Place: Hashable, CustomStringConvertible {
        var service: ServiceName
        var snapshot: SnapshotID
        var path: String?
        var description: String { "\(service) \(snapshot.short) \(path ?? "")" }
    }

    init(_ random: inout SeededRandom) async throws {
        store = MemoryStore(keepsReserve: true)
        index = MemoryChunkIndex()
        let repository = try await BackupRepository.create(
            in: store, credential: Self.credential, label: "showcase")
        var options = WriteOptions()
        options.packTarget = 1 << 20
        var heads: [ChainHead] = []
        let writer = WriterID.random()
        var files: [Place: (content: ContentReference, bytes: [UInt8])] = [:]
        for night in 0..<2 {
            let run = try await repository.beginWriting(
                index: index, options: options, host: "host", processID: 1,
                timepiece: SystemTimepiece())
            var added: [SnapshotID] = []
            // More chunks than a snapshot's record keeps itself: nodes.
            let dump = random.bytes(3 << 20)
            let stream = try await RepositoryFixture.write([dump], in: run)[0]
            #expect(stream.depth > 0)
            var database = SnapshotRecord.ofStream(stream)
            database.service = "database"
            try await run.commit(database)
            added.append(database.id)
            files[Place(service: "database", snapshot: database.id)] = (stream, dump)

            let contents = (0..<20).map { number in
                number % 2 == 0 ? random.bytes(number * 9000 + 1) : random.text(number * 7000)
            }
            let references = try await RepositoryFixture.write(contents, in: run)
            var encoder = TreeEncoder()
            encoder.append(TreeEntry(path: [], type: .directory))
            var list: [UInt8] = []
            for (number, reference) in references.enumerated() {
                var entry = TreeEntry(path: Array("file \(10 + number)".utf8), type: .file)
                entry.size = reference.length
                entry.content = reference
                encoder.append(entry)
            }
            encoder.flush { list += $0 }
            let tree = try await RepositoryFixture.write([list], in: run)[0]
            var site = SnapshotRecord.ofStream(tree)
            site.parts[0].kind = .tree
            try await run.commit(site)
            added.append(site.id)
            for (number, reference) in references.enumerated() {
                let place = Place(
                    service: "site", snapshot: site.id, path: "file \(10 + number)")
                files[place] = (reference, contents[number])
            }
            heads = try #require(
                try await repository.appendToChain(
                    writer: writer, run: .random(), host: "host",
                    at: Timestamp(nanoseconds: Int64(night)), added: added, removed: [],
                    known: heads))
            await run.end()
        }
        // Garbage, condemned while somebody else writes: neither he nor the list has ended.
        let needed = Set(try await store.list("packs").map(\.key))
        let live = try await repository.beginWriting(
            index: index, options: options, host: "other", processID: 1,
            timepiece: SystemTimepiece())
        _ = try await RepositoryFixture.write([random.bytes(100_000)], in: live)
        let plan = try await repository.prunePlan(
            index: index, options: PruneOptions(deleteOnly: true))
        let result = try await repository.prune(plan, index: index)
        #expect(result.waitingPacks == 1)
        // The other is killed: its session stays.
        let sessions = try await store.list("sessions")
        let session = try await store.get(try #require(sessions.first).key, .whole)
        await live.end()
        try await store.put(sessions[0].key, [session])
        self.heads = heads
        self.files = files
        var objects: [ObjectKey: Data] = [:]
        for object in try await store.list("") {
            objects[object.key] = try await store.get(object.key, .whole)
        }
        self.objects = objects
        idle = Set(
            objects.keys.filter { key in
                switch key.path.split(separator: "/").first {
                case "packs": !needed.contains(key)
                case "sessions", "condemned", "reserve": true
                default: false
                }
            })
        let kinds = Set(objects.keys.compactMap { $0.path.split(separator: "/").first })
        #expect(kinds.count == 8, "\(kinds)")
    }

    func restore(_ key: ObjectKey) async throws {
        if let good = objects[key] { try await store.put(key, [good]) }
    }
}

/// Every kind of damage to every kind of object.
@Suite struct DamageMatrixTests {
    enum Damage: String, CaseIterable, Sendable { case flip, cut, zero, delete, swap }

    /// What a check says, or why there is no checking.
    private enum Finding: CustomStringConvertible {
        case nothing
        case found([CheckFinding], [CheckFinding.Affected])
        case closed(Failure)

        var description: String {
            switch self {
            case .nothing: "nothing"
            case .found(let findings, let affected): "\(findings) \(affected)"
            case .closed(let failure): "\(failure.code): \(failure)"
            }
        }
        var isNothing: Bool { if case .nothing = self { true } else { false } }
        /// Whether it names the object, or whoever asks is kept out with the right reason.
        func names(_ key: ObjectKey) -> Bool {
            switch self {
            case .nothing: false
            case .found(let findings, _):
                findings.contains { key.path.hasPrefix($0.object) || $0.reason.contains(key.name) }
            case .closed(let failure): failure.code == .damaged
            }
        }
    }

    private func check(
        _ showcase: Showcase, _ index: MemoryChunkIndex, deep: Bool, known: [ChainHead]
    ) async throws -> Finding {
        do {
            let repository = try await BackupRepository.open(
                in: showcase.store, credential: Showcase.credential)
            let report = try await repository.check(
                index: index, options: CheckOptions(readData: deep), known: known)
            if report.findings.isEmpty && report.affected.isEmpty { return .nothing }
            return .found(report.findings, report.affected)
        } catch let failure as Failure {
            return .closed(failure)
        }
    }

    private func damaged(
        _ good: Data, _ key: ObjectKey, _ damage: Damage, _ showcase: Showcase,
        _ random: inout SeededRandom
    ) -> Data? {
        var bad = good
        let position = Int.random(in: 0..<good.count, using: &random)
        switch damage {
        case .flip: bad[position] ^= UInt8(1) << UInt8.random(in: 0...7, using: &random)
        case .cut: bad = good.prefix(position)
        case .zero:
            let end = min(position + 4096, good.count)
            bad.replaceSubrange(
                position..<end, with: repeatElement(UInt8(0), count: end - position))
        case .delete: return nil
        case .swap:
            // Another of its kind, or of another.
            let others = showcase.objects.keys.filter { $0 != key }.sorted()
            let kin = others.filter { $0.path.hasPrefix(key.path.prefix(4)) }
            let pool = kin.isEmpty || Bool.random(using: &random) ? others : kin
            if let other = pool.randomElement(using: &random), let bytes = showcase.objects[other] {
                bad = bytes
            }
        }
        return bad
    }

    @Test(
        "A deep check finds it and names it, and a restore of anything is right or loud",
        .timeLimit(.minutes(60)), arguments: Damage.allCases)
    func everything(_ damage: Damage) async throws {
        var random = SeededRandom.announced()
        let showcase = try await Showcase(&random)
        for (deep, index) in [(true, MemoryChunkIndex()), (false, showcase.index)] {
            let finding = try await check(showcase, index, deep: deep, known: showcase.heads)
            #expect(finding.isNothing, "before anything is damaged: \(finding)")
        }
        let tried = TestEnvironment.isFull ? 200 : 30
        let keys = showcase.objects.keys.sorted()
        let kinds = Dictionary(grouping: keys) { $0.path.split(separator: "/")[0] }
        let kindNames = kinds.keys.sorted()
        var missed: [String] = []
        var missedQuickly: [String] = []
        var hits: [Substring: Int] = [:]
        for number in 0..<tried {
            // Each kind in turn, and every other time any object as likely as it is large.
            let key: ObjectKey
            if number % 2 == 0 {
                let kind = kindNames[number / 2 % kindNames.count]
                key = kinds[kind]?.randomElement(using: &random) ?? keys[0]
            } else {
                let packs = kinds["packs"] ?? keys
                key = packs.randomElement(using: &random) ?? keys[0]
            }
            guard let good = showcase.objects[key] else { continue }
            let bad = damaged(good, key, damage, showcase, &random)
            if bad == good { continue }
            if damage == .delete && showcase.idle.contains(key) { continue }
            hits[key.path.split(separator: "/")[0], default: 0] += 1
            if let bad {
                try await showcase.store.put(key, [bad])
            } else {
                try await showcase.store.delete(key)
            }
            let cold = MemoryChunkIndex()
            let deep = try await check(showcase, cold, deep: true, known: showcase.heads)
            // `config` is plain text: another digit in the time it was made, or another case of one
            // in its name, means nothing, and is only looked at by the restore below.
            let isPlain = damage == .flip && key.path == "config"
            // A deleted pack is named by what misses it.
            if damage == .delete ? deep.isNothing : !deep.names(key) && !isPlain {
                missed.append("\(key): \(deep)")
            }
            if damage == .cut || damage == .delete {
                let quick = try await check(
                    showcase, MemoryChunkIndex(), deep: false, known: showcase.heads)
                if quick.isNothing && key.path != "reserve" { missedQuickly.append("\(key)") }
            }
            try await everyFileIsRightOrLoud(showcase, deep, after: "\(damage) of \(key)")
            try await showcase.restore(key)
        }
        print(
            "\(damage): \(hits.sorted { $0.key < $1.key }) tried, \(missed.count) not found,"
                + " \(missedQuickly.count) not found without reading")
        #expect(missed.isEmpty)
        #expect(missedQuickly.isEmpty)
        let after = try await check(
            showcase, MemoryChunkIndex(), deep: true, known: showcase.heads)
        #expect(after.isNothing, "all of it is as it was again: \(after)")
    }

    /// What the check does not name as affected comes back; what does not come back fails.
    private func everyFileIsRightOrLoud(
        _ showcase: Showcase, _ finding: Finding, after what: String
    ) async throws {
        let repository: BackupRepository
        do {
            repository = try await BackupRepository.open(
                in: showcase.store, credential: Showcase.credential)
        } catch { return }
        let index = MemoryChunkIndex()
        _ = try await repository.refresh(index)
        var affected: Set<Showcase.Place> = []
        if case .found(_, let items) = finding {
            for item in items {
                affected.insert(
                    Showcase.Place(service: item.service, snapshot: item.snapshot, path: item.path))
            }
        }
        for (place, file) in showcase.files {
            let content = file.content
            let result = await Result {
                // A tree's file is found through its snapshot's entry list.
                let record = try await repository.snapshot(place.snapshot)
                return try await BlockingPool.shared.run {
                    let reader = repository.makeReader(index: index)
                    if place.path != nil {
                        var isListed = false
                        try reader.entries(record.parts[0].content) { entry in
                            if entry.content == content { isListed = true }
                        }
                        guard isListed else { throw FormatError("a tree", "it lacks a file") }
                    }
                    return try reader.bytes(content, limit: 1 << 30)
                }
            }
            let isNamed =
                affected.contains(place)
                || affected.contains(
                    Showcase.Place(service: place.service, snapshot: place.snapshot))
            switch result {
            case .success(let bytes): #expect(bytes == file.bytes, "\(what): \(place) is wrong")
            case .failure:
                var isGone = false
                if case .found(let findings, _) = finding {
                    isGone = findings.contains { $0.object == "snapshots/\(place.snapshot)" }
                }
                #expect(isNamed || isGone, "\(what): \(place) is lost and not named")
            }
        }
    }

    @Test("No object stands in for one of another kind, nor for another of its kind")
    func swaps() async throws {
        var random = SeededRandom.announced()
        let showcase = try await Showcase(&random)
        let kinds = Dictionary(grouping: showcase.objects.keys.sorted()) {
            $0.path.split(separator: "/")[0]
        }
        var tried = 0
        for (kind, keys) in kinds.sorted(by: { $0.key < $1.key }) where kind != "reserve" {
            for (other, others) in kinds.sorted(by: { $0.key < $1.key }) {
                guard let key = keys.randomElement(using: &random),
                    let stranger = others.filter({ $0 != key }).randomElement(using: &random),
                    let bytes = showcase.objects[stranger]
                else { continue }
                try await showcase.store.put(key, [bytes])
                let finding = try await check(
                    showcase, MemoryChunkIndex(), deep: false, known: showcase.heads)
                #expect(finding.names(key), "\(stranger) as \(key): \(finding)")
                tried += 1
                try await showcase.restore(key)
                _ = other
            }
        }
        print("\(tried) pairs of kinds")
        #expect(tried > 40)
    }
}

extension Result where Failure == any Error {
    /// What an asynchronous body returns or throws.
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
