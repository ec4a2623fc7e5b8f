import Engine
public import Model

/// What reading some packs back came to.
public struct PackSample: Sendable {
    /// How many packs there are.
    public var packs = 0
    public var packsRead = 0
    public var bytesRead = ByteCount(0)
    /// The pack that was read last, for the next sample to go on after; nil when there is none.
    public var last: PackID?
    public var findings: [CheckFinding] = []
}

extension BackupRepository {
    /// Reads packs back and opens everything in them: those that follow an earlier sample's last, and
    /// the first again after the last of all.
    ///
    /// What snapshots refer to is not looked at: that is for ``check(index:options:known:progress:)``.
    ///
    /// - Parameters:
    ///   - last: Where the earlier sample ended; nil to begin with the first.
    ///   - percent: How many of the packs, at least one.
    ///   - goesOn: Asked before each pack, with the number of those that were read.
    public func sample(
        after last: PackID?, percent: Int, while goesOn: (_ read: Int) -> Bool
    ) async throws -> PackSample {
        let all = try await listPacks().keys.sorted()
        var sample = PackSample()
        sample.packs = all.count
        sample.last = last
        let start = last.flatMap { last in all.firstIndex { $0 > last } } ?? 0
        let wanted = (all.count * percent + 99) / 100
        let check = PackCheck(repository: self)
        for number in 0..<wanted {
            guard goesOn(sample.packsRead) else { break }
            try Task.checkCancellation()
            let pack = all[(start + number) % all.count]
            sample.last = pack
            do {
                let (damaged, bytes) = try await BlockingPool.shared.run { try check.check(pack) }
                sample.bytesRead += ByteCount(bytes)
                sample.findings += CheckFinding.frames(damaged, of: pack)
            } catch let error as FormatError {
                sample.findings.append(CheckFinding(pack, error.reason))
            } catch is ObjectMissing {
                // A prune has taken it since.
                continue
            }
            sample.packsRead += 1
        }
        return sample
    }
}

extension CheckFinding {
    /// A pack that cannot be read.
    init(_ pack: PackID, _ reason: String) {
        self.init(kind: .pack, object: PackLayout.objectKey(pack).path, reason: reason)
    }

    /// Frames of a pack that do not open, by their numbers.
    static func frames(_ damaged: [UInt32: String], of pack: PackID) -> [CheckFinding] {
        damaged.sorted { $0.key < $1.key }.map {
            CheckFinding(pack, "frame \($0.key): \($0.value)")
        }
    }
}
