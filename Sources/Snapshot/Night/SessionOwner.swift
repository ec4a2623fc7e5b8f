public import Catalog
import Engine

/// Names whoever holds a catalog's run lock in this boot of this machine: one process at a time.
///
/// A session in the repository with the same name, found by a process that holds the lock, belongs to
/// one that was killed. A clone of the machine has the same catalog, but never the same boot.
public enum SessionOwner {
    /// - Returns: nil where that cannot be told; then dead sessions are left to lapse.
    public static func current(_ catalog: Catalog) async throws -> String? {
        guard let boot = BootIdentity.current else { return nil }
        return "\(try await catalog.writer()) \(boot)"
    }
}
