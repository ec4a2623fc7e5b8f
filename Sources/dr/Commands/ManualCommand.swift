import ArgumentParser
import Engine
import Model

/// `dr manual`.
struct ManualCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "manual", abstract: "Write the manual pages of all commands.",
        discussion: "For example: dr manual /usr/local/share/man/man1, then man dr-backup")

    @Argument(help: "Where to; it is made if it is missing.", completion: .directory)
    var directory: String

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func run(in application: Application) async throws -> ExitCode {
        let place = absolutePath(directory, from: application.environment.workingDirectory)
        let pages = Manual.pages
        try await BlockingPool.shared.run {
            let files = FileSystem()
            do throws(SystemError) {
                try files.makeDirectories(place, mode: 0o755)
                for page in pages {
                    try files.writeDurably(Array(page.text.utf8), to: "\(place)/\(page.name)")
                    try files.permit("\(place)/\(page.name)", mode: 0o644)
                }
            } catch {
                throw error.failure(side: .local)
            }
        }
        application.output.note(
            StyledText("wrote \(pages.count) pages to \(printable(place.utf8))"))
        return .done
    }
}
