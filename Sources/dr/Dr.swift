import ArgumentParser

@main struct Dr: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "dr")
}
