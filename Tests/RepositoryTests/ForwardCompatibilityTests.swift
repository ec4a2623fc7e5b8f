import Engine
import FoundationEssentials
import Model
import Repository
import TestSupport
import Testing

/// What a later release that still writes format 1 may add: FORMAT.md, section 11.
@Suite struct ForwardCompatibilityTests {
    @Test func unknownKeysAndWordsOfASnapshotAreNoDamage() async throws {
        let known = try await KnownSecrets()
        let id = SnapshotID.random()
        let text = known.snapshot(id, content: #"{"length":0,"colour":"green"}"#, kind: "holodeck")
            .replacing(#""consistency":"application""#, with: #""consistency":"exquisite""#)
            .replacing(#""kind":"stream""#, with: #""kind":"hologram","shape":[1,{"a":null}]"#)
            .replacing(#"{"id""#, with: #"{"mood":{"deep":[true]},"id""#)
        try await known.put(text.utf8, as: "snapshots/\(id)")
        let record = try await known.repository.snapshot(id)
        #expect(record.kind.rawValue == "holodeck" && record.service == "site")
        #expect(record.consistency.rawValue == "exquisite")
        #expect(record.consistency < .fileSystem && record.consistency < .application)
        #expect(record.parts.map(\.kind.rawValue) == ["hologram"] && !record.parts[0].kind.isKnown)
        // The catalog keeps the words, for the release that knows them.
        let kept = try StableJSON.decode(SnapshotRecord.self, from: StableJSON.encode(record))
        #expect(kept.kind == record.kind && kept.parts[0].kind == record.parts[0].kind)

        let index = MemoryChunkIndex()
        let report = try await known.repository.check(
            index: index, options: CheckOptions(readData: true))
        #expect(report.findings.isEmpty && report.snapshots == 1)
        #expect(try await known.repository.prunePlan(index: index).snapshots == [id])
    }

    @Test func unknownKeysOfOtherRecordsAreNoDamage() async throws {
        let known = try await KnownSecrets()
        let writer = WriterID.random()
        let text =
            #"{"writer":"\#(writer)","sequence":1,"at":"2026-11-22T03:00:00Z","host":"h","#
            + #""run":"\#(writer)","added":[],"removed":[],"heads":[],"weather":"fair"}"#
        try await known.put(text.utf8, as: "writers/\(writer)/000000000001")
        let list = SnapshotID.random()
        try await known.put(
            #"{"id":"\#(list)","packs":[],"why":"unknown"}"#.utf8, as: "condemned/\(list)")
        let state = try await known.repository.readChains()
        #expect(state.findings.isEmpty && state.heads[writer]?.sequence == 1)
        #expect(try await known.repository.condemnedPacks().isEmpty)
        // Objects that a later release keeps beside ours, and objects that are nobody's.
        try await known.store.put(ObjectKey("lessons/one"), [Data("?".utf8)])
        try await known.store.put(ObjectKey("packs/zz/readme"), [Data("?".utf8)])
        for prefix in ["snapshots", "keys", "writers"] {
            try await known.store.put(ObjectKey("\(prefix)/readme"), [Data("?".utf8)])
        }
        let report = try await known.repository.check(index: MemoryChunkIndex())
        #expect(report.findings.isEmpty && report.snapshots == 0 && report.packs == 0)
    }

    @Test func unknownKeysOfTheConfigurationAndUnknownSlotsArePassedOver() async throws {
        let known = try await KnownSecrets()
        try await KnownSecrets.configure(known.store, known.secrets, more: #","mascot":"owl""#)
        for (number, slot) in [
            #"{"version":1,"id":"ID","kind":"token","label":"","created":"2026-11-22T03:00:00Z","#
                + #""sealed":"00","token":{"slot":3}}"#,
            #"{"version":2,"id":"ID","kind":"key","what":"ever"}"#, "no JSON at all",
        ].enumerated() {
            let id = String(repeating: "\(number)", count: 64)
            let text = slot.replacing("ID", with: id)
            try await known.store.put(ObjectKey("keys/\(id)"), [Data(text.utf8)])
        }
        let opened = try await BackupRepository.open(
            in: known.store, credential: known.credential)
        #expect(opened.id == known.repository.id)
    }

    @Test func anotherFormatIsRefusedWithItsNumber() async throws {
        let known = try await KnownSecrets()
        for format in [0, 2, 99] {
            try await KnownSecrets.configure(known.store, known.secrets, format: format)
            do {
                _ = try await BackupRepository.open(
                    in: known.store, credential: known.credential)
                Issue.record("format \(format) was opened")
            } catch let failure as Failure {
                #expect(failure.code == .unsupportedRepository)
                #expect(failure.message.contains("has format \(format), which"))
            }
        }
    }
}
