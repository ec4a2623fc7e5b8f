import Engine
import Synchronization

/// How many activities of an executor sleep sooner or later.
final class ActivityCount: Sendable {
    private let ignored: Set<String>
    private let instant = Mutex(0)

    init(ignoring ignored: Set<String>) { self.ignored = ignored }

    /// 0 while a step that never sleeps is under way: then time stands still.
    func update(_ moment: GraphExecutor.Moment) -> Int {
        let open = instant.withLock { count in
            for progress in moment.progress {
                switch progress {
                case .started(let id, _) where ignored.contains(id): count += 1
                case .done(let id) where ignored.contains(id): count -= 1
                default: break
                }
            }
            return count
        }
        return open > 0 ? 0 : moment.running + moment.pausing
    }
}
