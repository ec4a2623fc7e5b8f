import ArgumentParser

/// The root of all commands. It lists only what works.
struct Dr: CommandGroup {
    static let configuration = CommandConfiguration(
        commandName: "dr",
        abstract: "Back up services and bring them back, in order and on the clock.",
        discussion: """
            The configuration is /etc/dr/dr.yaml unless --config or DR_CONFIG names another. The \
            repository's password comes from DR_PASSWORD_FILE, DR_PASSWORD_COMMAND or \
            DR_PASSWORD, else dr asks for it.

            "dr help exit-codes" lists how a command can end.
            """,
        version: "dr \(Version.current)",
        subcommands: [
            InitCommand.self, DiscoverCommand.self, BackupCommand.self, SnapshotsCommand.self,
            ListCommand.self,
            FindCommand.self, DiffCommand.self, DumpCommand.self, ExportCommand.self,
            PlanCommand.self, RestoreCommand.self, DrillCommand.self, ReportCommand.self,
            StatusCommand.self,
            CheckCommand.self, DoctorCommand.self,
            ForgetCommand.self, PruneCommand.self, CopyCommand.self, KeyCommand.self,
            CatalogCommand.self,
            NotifyCommand.self, ScheduleCommand.self, RunbookCommand.self, ConfigCommand.self,
            CompletionCommand.self,
            ManualCommand.self,
            VersionCommand.self,
        ])

    @OptionGroup(title: "Global options") var global: GlobalOptions
}
