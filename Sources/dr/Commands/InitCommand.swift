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
            """)

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let store = application.store(of: try await application.configuration())
        try await refuseExisting(store)
        let password = try await application.password.choose(for: store.place)
        if PasswordStrength.isWeak(password) {
            application.output.warning(
                "the password is weak: whoever gets the repository could guess it",
                hint: "several random words are strong and can be typed")
        }
        let repository = try await BackupRepository.create(
            in: store, credential: .password(password), label: application.host)
        application.output.present(MadeRepository(id: repository.id, place: store.place))
        return .done
    }

    /// Nobody should think up a password for a repository that is there already.
    private func refuseExisting(_ store: DirectoryStore) async throws {
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

    var json: JSONValue { ["repository": .string("\(id)"), "place": .string(place)] }

    func write(to page: inout Page) {
        page.line(StyledText("made repository \(id.short) at \(place)"))
    }
}
