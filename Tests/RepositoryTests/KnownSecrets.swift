import Engine
import FoundationEssentials
import Model
import Repository
import TestSupport

/// A repository in memory whose secrets a test holds: it can seal what no writer would write.
struct KnownSecrets: Sendable {
    let store = MemoryStore()
    let secrets = MasterSecrets.generate(for: .random())
    let credential = Credential.key([UInt8](repeating: 1, count: 32))
    let repository: BackupRepository

    init() async throws {
        try await Self.configure(store, secrets)
        let slot = try KeySlot.wrap(
            secrets, under: credential, label: "test", created: Timestamp(nanoseconds: 0))
        try await store.put(slot.objectKey, [try JSONEncoder().encode(slot)])
        repository = try await BackupRepository.open(in: store, credential: credential)
    }

    /// Writes the object `config`, with `more` in it.
    static func configure(
        _ store: MemoryStore, _ secrets: MasterSecrets, format: Int = 1, more: String = ""
    ) async throws {
        let text =
            #"{"format":\#(format),"repository":"\#(secrets.repository)","features":[],"#
            + #""created":"2026-11-22T03:00:00Z"\#(more)}"#
        try await store.put(ObjectKey("config"), [Data(text.utf8)])
    }

    /// Seals `text` under `name`, whatever it says.
    func put(_ text: some Sequence<UInt8>, as name: String) async throws {
        let key = ObjectKey(name)
        try await store.put(key, [try SealedRecord.seal(Array(text), as: key, with: secrets)])
    }

    /// The JSON of a snapshot with one part of which `content` is the content.
    func snapshot(_ id: SnapshotID, content: String, kind: String = "files") -> String {
        #"{"id":"\#(id)","workload":"site/\#(kind):x","service":"site","kind":"\#(kind)","#
            + #""host":"host.example.org","run":"\#(id)","asOf":"2026-11-22T03:00:00Z","#
            + #""finished":"2026-11-22T03:00:01.5Z","consistency":"application","#
            + #""parts":[{"name":"data","kind":"stream","bytes":1,"content":\#(content)}]}"#
    }
}
