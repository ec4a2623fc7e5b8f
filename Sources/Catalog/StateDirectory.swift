import CLinux
import Engine
import Glibc
public import Model

/// Where `dr` keeps what it remembers on this machine.
public enum StateDirectory {
    /// The directory of all state: `$XDG_STATE_HOME/dr` when set, else `/var/lib/dr` for root, else
    /// `~/.local/state/dr`.
    ///
    /// - Throws: `Failure` with code `usage` when neither variable is there for an ordinary user.
    public static func root(environment: [String: String], userID: UInt32) throws -> String {
        // The rule of the XDG base directories: a relative path counts as none.
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") { return state + "/dr" }
        if userID == 0 { return "/var/lib/dr" }
        if let home = environment["HOME"], home.hasPrefix("/") {
            return home + "/.local/state/dr"
        }
        throw Failure(
            .usage, "no place for the catalog: HOME and XDG_STATE_HOME are not set",
            hint: "set XDG_STATE_HOME, or catalog: in the configuration", side: .local)
    }

    /// The directory of one repository's catalog under `root`.
    public static func directory(for repository: RepositoryID, under root: String) -> String {
        "\(root)/\(repository)"
    }

    /// Makes `path` and what is missing above it, for the owner alone.
    static func make(_ path: String) throws {
        let files = FileSystem()
        var made = path.hasPrefix("/") ? "" : "."
        do {
            for component in path.split(separator: "/") {
                made += "/" + component
                if !files.isDirectory(made) { try files.makeDirectory(made) }
            }
        } catch {
            throw error.failure(side: .local)
        }
    }
}
