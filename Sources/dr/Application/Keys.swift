import Catalog
import Engine
import Glibc
import CLinux
import Model
import Repository
import Snapshot

extension Application {
    /// Unlocks the repository, without its catalog.
    func unlock(_ configuration: Configuration) async throws -> BackupRepository {
        let store = try await store(of: configuration)
        _ = try await BackupRepository.identity(of: store)
        return try await BackupRepository.open(
            in: store, credential: try await credential(for: store.place))
    }

    /// Says so when a password that was chosen is easy to guess.
    func warn(ifWeak password: String) {
        guard PasswordStrength.isWeak(password) else { return }
        output.warning(
            "the password is weak: whoever gets the repository could guess it",
            hint: "several random words are strong and can be typed")
    }

    /// Makes a new data key and leaves a record of it in this machine's chain, so that it is missed
    /// if it should disappear.
    func renewDataKey(_ configuration: Configuration) async throws -> UInt32 {
        let open = try await open(configuration, refreshing: false, writing: true)
        let lock = try RunLock.acquire(
            in: open.catalog.directory,
            as: .current(purpose: "dr key rotate", at: timepiece.wall))
        defer { lock.release() }
        let epoch = try await open.repository.renewDataKey()
        let renewed = try await unlock(configuration)
        let run = RunRecord(
            purpose: .prune, host: host, processID: getpid(), version: Version.current,
            started: timepiece.wall)
        try await ChainKeeping(repository: renewed, catalog: open.catalog)
            .append(run: run, at: timepiece.wall, added: [])
        return epoch
    }
}
