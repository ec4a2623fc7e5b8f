import ArgumentParser
import Model
import Repository

/// `dr init`.
struct InitCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make an empty repository for backups.",
        discussion: """
            Its password comes from DR_PASSWORD_FILE, DR_PASSWORD_COMMAND or DR_PASSWORD, else dr \
            asks for it. Keep it somewhere else than on this machine: without it nothing can be \
            restored, by anyone.

            With --copy-of the new repository can take copies of the other's data without reading \
            it anew: both cut and name data in the same way. Its password and keys are its own. The \
            other's password comes from --from-password-file, DR_FROM_PASSWORD_FILE, \
            DR_FROM_PASSWORD_COMMAND or DR_FROM_PASSWORD, or its key from DR_FROM_KEY_FILE. With \
            --copy it is one of the configuration's copies: that is made for copies of the \
            configuration's repository, and opens with the password that the configuration names \
            for it, else with the repository's own.
            """)

    @Option(
        name: .customLong("copy-of"),
        help: ArgumentHelp(
            "Make it for copies of the repository at this place.", valueName: "place"),
        completion: .directory)
    var original: String?

    @Option(
        name: .customLong("copy"),
        help: ArgumentHelp(
            "Make the copy of this name that the configuration lists.", valueName: "name"))
    var copy: String?

    @Option(
        name: .customLong("from-password-file"),
        help: ArgumentHelp(
            "A file that holds the password of that repository.", valueName: "file"),
        completion: .file())
    var originalPasswordFile: String?

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        if copy != nil, original != nil {
            throw ValidationError("--copy and --copy-of contradict each other")
        }
        if originalPasswordFile != nil, original == nil {
            throw ValidationError("--from-password-file needs --copy-of")
        }
    }

    func run(in application: Application) async throws -> ExitCode {
        if let copy { return try await make(copy, application) }
        let store = try await application.store(
            of: try await application.configuration())
        try await refuseExisting(store)
        let original = try await openOriginal(application, store)
        let password = try await application.password.choose(for: store.place)
        application.warn(ifWeak: password)
        let repository = try await BackupRepository.create(
            in: store, credential: .password(password), label: application.host,
            copyOf: original)
        application.output.present(
            MadeRepository(id: repository.id, place: store.place, original: original?.id))
        return .done
    }

    /// Makes one of the configuration's copies.
    private func make(_ name: String, _ application: Application) async throws -> ExitCode {
        let configuration = try await application.configuration()
        guard let copy = try application.copies(named: [name], in: configuration).first else {
            return .usage
        }
        let store = try await application.store(at: copy.repository, copy.options)
        try await refuseExisting(store)
        let original = try await application.unlock(configuration)
        let repository = try await BackupRepository.create(
            in: store, credential: try await application.credential(for: copy),
            label: application.host, copyOf: original)
        application.output.present(
            MadeRepository(id: repository.id, place: store.place, original: original.id))
        return .done
    }

    /// The repository whose way of naming the new one gets; nil when it is to have its own.
    private func openOriginal(
        _ application: Application, _ new: any ObjectStore
    ) async throws -> BackupRepository? {
        guard let original else { return nil }
        if let problem = TextRule.repository.problem(with: original) {
            throw Failure(.usage, "--copy-of \(problem.message)", hint: problem.hint)
        }
        let place = absolutePlace(original, from: application.environment.workingDirectory)
        let store = try await application.store(at: place, RepositoryOptions())
        _ = try await BackupRepository.identity(of: store)
        let source = application.otherPassword(prefix: "DR_FROM", file: originalPasswordFile)
        do {
            return try await BackupRepository.open(
                in: store, credential: try await source.credential(for: place))
        } catch var failure as Failure where failure.code == .wrongKey {
            failure.hint =
                "check --from-password-file, or the variables DR_FROM_PASSWORD_FILE,"
                + " DR_FROM_PASSWORD_COMMAND, DR_FROM_PASSWORD and DR_FROM_KEY_FILE"
            throw failure
        }
    }

    /// Nobody should think up a password for a repository that is there already.
    private func refuseExisting(_ store: any ObjectStore) async throws {
        do {
            _ = try await BackupRepository.identity(of: store)
        } catch let failure as Failure where failure.code == .noRepository {
            return
        }
        throw Failure(
            .failed, "there is a repository at \(printable(store.place.utf8)) already",
            hint: "use it with dr backup, or name another place", side: .repository)
    }
}

private struct MadeRepository: Presentable {
    var id: RepositoryID
    var place: String
    var original: RepositoryID?

    var json: JSONValue {
        .members([
            "repository": .string("\(id)"), "place": .string(place),
            "copy_of": original.map { .string("\($0)") },
        ])
    }

    func write(to page: inout Page) {
        let copy = original.map { ", for copies of \($0.short)" } ?? ""
        page.line(StyledText("made repository \(id.short) at \(place)\(copy)"))
    }
}
