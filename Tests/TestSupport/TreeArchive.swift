public import Workloads
import Engine
import Model

/// Archives of directories, made by the system's own tar.
public enum TreeArchive {
    /// Writes the directory or file `path` to `descriptor`, its root called `name`.
    public static func write(_ path: String, called name: String, to descriptor: Int32) async throws
        -> TreeReplaySummary
    {
        let made = try await OutsideProgram.run([
            "sh", "-c",
            """
            d=$(mktemp -d) && cp -aT "$1" "$d/$2" && \
            tar -C "$d" -c --format=pax --sparse --xattrs --xattrs-include='*' --acls \
            --numeric-owner "$2"; r=$?; rm -rf "$d"; exit $r
            """, "sh", path, name,
        ])
        guard made.status == 0 else { throw Failure(.failed, "tar: \(made.errorText)") }
        try await BlockingPool.shared.run {
            try withoutBrokenPipeSignal {
                try made.output.withUnsafeBytes {
                    try FileSystem().write($0, to: descriptor, path: name)
                }
            }
        }
        let files = try await OutsideProgram.run(["find", path, "-type", "f", "-printf", "x"])
        var summary = TreeReplaySummary()
        summary.files = UInt64(files.output.count)
        return summary
    }
}
