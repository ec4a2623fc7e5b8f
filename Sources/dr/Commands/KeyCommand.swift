import ArgumentParser
import Model
import Repository

/// `dr key …`: who may open the repository.
struct KeyCommand: CommandGroup {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "List, add, remove and renew the repository's keys.",
        discussion: """
            A repository has key slots: each opens it with a password or with a random key in a file \
            (DR_KEY_FILE), which an unattended machine can use without stretching. To change a \
            password: dr key add --replace.
            """,
        subcommands: [
            KeyListCommand.self, KeyAddCommand.self, KeyRemoveCommand.self, KeyRotateCommand.self,
        ])

    @OptionGroup(title: "Global options") var global: GlobalOptions
}

/// `dr key list`.
struct KeyListCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the key slots and data keys.")

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let repository = try await application.unlock(try await application.configuration())
        application.output.present(
            KeyList(
                slots: try await repository.keySlots(), dataKeys: try await repository.dataKeys()))
        return .done
    }
}

private struct KeyList: Presentable {
    var slots: [KeySlotDescription]
    var dataKeys: [DataKeyDescription]

    var json: JSONValue {
        [
            "slots": .array(
                slots.map {
                    [
                        "id": .string($0.id), "kind": .string($0.kind), "label": .string($0.label),
                        "created": .string("\($0.created)"), "used": .bool($0.isUsed),
                        "state": .string(state($0)),
                    ]
                }),
            "data_keys": .array(
                dataKeys.map {
                    .members([
                        "number": .integer(Int64($0.epoch)),
                        "created": $0.created.map { .string("\($0)") },
                    ])
                }),
        ]
    }

    private func state(_ slot: KeySlotDescription) -> String {
        if slot.isDamaged { return "damaged" }
        return slot.isGenuine ? "good" : "not of this repository"
    }

    func write(to page: inout Page) {
        var table = Table(
            .left("ID"), .left("KIND"), .left("CREATED"), .left("STATE"), .flexible("LABEL"))
        for slot in slots {
            let state = state(slot)
            table.add(
                StyledText(String(slot.id.prefix(8))), StyledText(slot.kind),
                StyledText(slot.isDamaged ? "" : slot.created.shortDescription),
                StyledText(slot.isUsed ? "in use" : state, state == "good" ? .good : .warning),
                StyledText(slot.label))
        }
        page.table(table)
        page.line()
        let newest = dataKeys.last?.created.map { ", the newest of \($0.shortDescription)" } ?? ""
        let count = dataKeys.count
        page.line(StyledText("\(count) data \(count == 1 ? "key" : "keys")\(newest)"))
    }
}

/// `dr key add`.
struct KeyAddCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add a password, or a random key in a file.",
        discussion: """
            The new password comes from --new-password-file, DR_NEW_PASSWORD_FILE, \
            DR_NEW_PASSWORD_COMMAND or DR_NEW_PASSWORD, else dr asks for it twice. The old one keeps \
            working unless --replace is given, and even then until the new one has opened the \
            repository.
            """)

    @Option(
        name: .customLong("new-password-file"),
        help: ArgumentHelp("A file that holds the new password.", valueName: "file"),
        completion: .file())
    var passwordFile: String?

    @Option(
        name: .customLong("random-key"),
        help: ArgumentHelp(
            "Make a random key instead of asking for a password, and write it to this file, which "
                + "must not exist.", valueName: "file"), completion: .file())
    var keyFile: String?

    @Option(
        help: ArgumentHelp(
            "Names it in dr key list; this machine's name without.", valueName: "text")
    )
    var label: String?

    @Flag(help: "Remove the key slot that opened the repository once the new one opens it.")
    var replace = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if passwordFile != nil, keyFile != nil {
            throw ValidationError("give either --new-password-file or --random-key")
        }
        if let label, label.utf8.count > 200 || label.contains(where: \.isNewline) {
            throw ValidationError("--label must be one line of at most 200 bytes")
        }
    }

    func run(in application: Application) async throws -> ExitCode {
        let repository = try await application.unlock(try await application.configuration())
        let slots = try await repository.keySlots()
        let credential = try await newCredential(application, repository)
        let added: String
        do {
            added = try await repository.addKeySlot(
                credential, label: label ?? application.host)
        } catch {
            if let keyFile {
                application.output.warning(
                    "the key in \(printable(keyFile.utf8)) opens nothing", hint: "remove the file")
            }
            throw error
        }
        var removed: String?
        if replace, let old = slots.first(where: \.isUsed)?.id {
            try await repository.removeKeySlot(old, force: true)
            removed = old
        }
        application.output.present(AddedKey(id: added, file: keyFile, removed: removed))
        return .done
    }

    private func newCredential(
        _ application: Application, _ repository: BackupRepository
    ) async throws -> Credential {
        if let keyFile {
            return .key(
                try await RandomKey.make(
                    at: absolutePath(keyFile, from: application.environment.workingDirectory)))
        }
        let source = application.otherPassword(prefix: "DR_NEW", file: passwordFile)
        let password = try await source.choose(for: repository.store.place)
        application.warn(ifWeak: password)
        return .password(password)
    }
}

private struct AddedKey: Presentable {
    var id: String
    var file: String?
    var removed: String?

    var json: JSONValue {
        .members([
            "added": .string(id), "file": file.map { .string($0) },
            "removed": removed.map { .string($0) },
        ])
    }

    func write(to page: inout Page) {
        let what = file.map { "key slot \(id.prefix(8)), whose key is in \($0)" }
        page.line(StyledText("added \(what ?? "key slot \(id.prefix(8))")"))
        if let removed { page.line(StyledText("removed key slot \(removed.prefix(8))")) }
    }
}

/// `dr key remove`.
struct KeyRemoveCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Take a password or key away.",
        discussion: """
            Whoever knew the password and has a copy of the key slot can still read everything that \
            was stored so far, if he gets at the repository. dr key rotate afterwards keeps what is \
            stored from then on from him, and dr prune --rewrite-old-keys what was stored before. \
            Snapshots' names, times and sizes stay readable to him; where that matters, make a new \
            repository. The last slot is never removed.
            """)

    @Argument(
        help: ArgumentHelp("The first digits of the slot's id (dr key list).", valueName: "slot"))
    var slot: String

    @Flag(help: "Also if it is the one that opens the repository now.")
    var force = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let repository = try await application.unlock(try await application.configuration())
        let digits = slot.lowercased()
        let found = try await repository.keySlots().filter {
            !digits.isEmpty && $0.id.hasPrefix(digits)
        }
        guard let chosen = found.first, found.count == 1 else {
            throw Failure(
                .usage,
                found.isEmpty
                    ? "there is no key slot \"\(printable(slot.utf8))\""
                    : "more than one key slot begins with \(digits)", hint: "dr key list shows them"
            )
        }
        try await repository.removeKeySlot(chosen.id, force: force)
        application.output.present(RemovedKey(slot: chosen))
        return .done
    }
}

private struct RemovedKey: Presentable {
    var slot: KeySlotDescription

    var json: JSONValue { ["removed": .string(slot.id)] }

    func write(to page: inout Page) {
        let label = slot.label.isEmpty ? "" : " (\(slot.label))"
        page.line(StyledText("removed key slot \(slot.id.prefix(8))\(label)"))
    }
}

/// `dr key rotate`.
struct KeyRotateCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Make a new data key for what is stored from now on.",
        discussion: """
            All passwords and keys keep working, and nobody has to type them: the new data key is \
            sealed to every key slot that there is. Remove those that shall not have it before. What \
            was stored stays under the old data key until dr prune --rewrite-old-keys.
            """)

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let configuration = try await application.configuration()
        let epoch = try await application.renewDataKey(configuration)
        let repository = try await application.unlock(configuration)
        application.output.present(
            RenewedKey(epoch: epoch, slots: try await repository.keySlots()))
        return .done
    }
}

private struct RenewedKey: Presentable {
    var epoch: UInt32
    var slots: [KeySlotDescription]

    private var holders: [KeySlotDescription] { slots.filter(\.isGenuine) }

    var json: JSONValue {
        ["data_key": .integer(Int64(epoch)), "slots": .strings(holders.map(\.id))]
    }

    func write(to page: inout Page) {
        page.line("made a new data key, which these key slots open:")
        for slot in holders {
            page.line(StyledText("  \(slot.id.prefix(8)) \(slot.kind) \(slot.label)"))
        }
    }
}
