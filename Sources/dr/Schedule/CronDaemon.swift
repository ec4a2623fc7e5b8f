import Engine
import Glibc

/// The program that would bring about what stands in tables of cron.
enum CronDaemon {
    private static let names: Set<String> = ["cron", "crond", "cronie", "fcron", "anacron"]

    /// Why nobody would; nil when somebody does. May block.
    static func problem() -> String? {
        let files = FileSystem()
        let processes = ((try? files.names(in: "/proc")) ?? []).filter { Int($0) != nil }
        let isRunning = processes.contains { process in
            guard let name = try? files.read("/proc/\(process)/comm") else { return false }
            return names.contains(String(decoding: name.prefix { $0 != 10 }, as: UTF8.self))
        }
        return isRunning ? nil : "no cron runs on this machine"
    }

    /// The next time that a line's first five fields name, by the machine's clock.
    ///
    /// - Parameter fields: As ``ScheduledJob/cronFields`` writes them: lists of numbers, or `*`.
    static func next(_ fields: String) -> String? {
        let parts = fields.split(separator: " ").map { field -> Set<Int32>? in
            field == "*" ? nil : Set(field.split(separator: ",").compactMap { Int32($0) })
        }
        guard parts.count == 5 else { return nil }
        var now = time(nil)
        now += 60 - now % 60
        // A week has every hour of every day of the week.
        for _ in 0..<(8 * 24 * 60) {
            var local = tm()
            localtime_r(&now, &local)
            func fits(_ index: Int, _ value: Int32) -> Bool {
                parts[index]?.contains(value) ?? true
            }
            if fits(0, local.tm_min), fits(1, local.tm_hour), fits(4, local.tm_wday) {
                var text = [CChar](repeating: 0, count: 64)
                let count = strftime(&text, text.count, "%a %Y-%m-%d %H:%M:%S %Z", &local)
                return String(
                    decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
            now += 60
        }
        return nil
    }
}
