import ArgumentParser
import Catalog
import Model
import Restore

/// `dr drill note`.
struct DrillNoteCommand: ApplicationCommand {
    static let configuration = CommandConfiguration(
        commandName: "note", abstract: "Add an observation, an action or an acceptance.",
        discussion: """
            What is said is added to the evidence and never changed. An action stays open, and is \
            carried on to the next report, until it is closed with --close and its number.
            """)

    @Argument(help: ArgumentHelp("What was observed, or has to be done.", valueName: "text"))
    var words: [String] = []

    @Option(
        name: .customLong("drill"),
        help: ArgumentHelp(
            "The first digits of a drill's id; the latest without it.", valueName: "run"))
    var drill: String?

    @Flag(help: "Something has to be put right: see --owner, --due and --link.")
    var action = false

    @Option(help: ArgumentHelp("Who puts it right.", valueName: "name"))
    var owner: String?

    @Option(help: ArgumentHelp("Until when.", valueName: "date"))
    var due: String?

    @Option(help: ArgumentHelp("Where it is followed up.", valueName: "address"))
    var link: String?

    @Option(help: ArgumentHelp("The action with this number is done.", valueName: "number"))
    var close: UInt64?

    @Flag(help: "You stand for the drill's result.")
    var accept = false

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func validate() throws {
        let kinds = [action, close != nil, accept].count { $0 }
        if kinds > 1 {
            throw ValidationError("--action, --close and --accept are notes of their own")
        }
        if kinds == 0 || action, words.isEmpty { throw ValidationError("the text is missing") }
        if !action, owner != nil || due != nil || link != nil {
            throw ValidationError("--owner, --due and --link belong to --action")
        }
    }

    func run(in application: Application) async throws -> ExitCode {
        let catalog = try await application.openCatalog(try await application.configuration())
        let chain = try await EvidenceChain(catalog)
        let run = try subject(chain)
        var note = DrillNote(
            accept ? .accepted : close != nil ? .closed : action ? .action : .observation,
            words.joined(separator: " "), author: application.operatorName)
        (note.owner, note.due, note.link, note.closes) = (owner, due, link, close)
        if let close, !chain.openActions.contains(where: { $0.number == close }) {
            let open = chain.openActions.map { "#\($0.number)" }
            throw Failure(
                .usage, "there is no open action #\(close)",
                hint: open.isEmpty ? "none is open" : "open are \(open.joined(separator: ", "))")
        }
        let kept = try await EvidenceChain.append(
            to: catalog, of: run, at: application.now, note: note)
        application.output.present(Noted(number: kept.sequence, run: run, hash: kept.hash))
        return .done
    }

    private func subject(_ chain: EvidenceChain) throws -> RunID {
        let drills = chain.drills.map(\.identity.drill)
        guard let drill else {
            guard let latest = drills.last else {
                throw Failure(.failed, "this machine remembers no drill", hint: "run dr drill")
            }
            return latest
        }
        let found = drills.filter { "\($0)".hasPrefix(drill.lowercased()) }
        guard let only = found.first, found.count == 1 else {
            throw Failure(
                .usage, "\(found.count) drills begin with \(printable(drill.utf8))",
                hint: "dr report --list shows them")
        }
        return only
    }
}

private struct Noted: Presentable {
    var number: UInt64
    var run: RunID
    var hash: String

    var json: JSONValue {
        [
            "number": .integer(Int64(clamping: number)), "drill": .string("\(run)"),
            "hash": .string(hash),
        ]
    }

    func write(to page: inout Page) {
        page.line(StyledText("noted as #\(number) of drill \(run.short)"))
    }
}
