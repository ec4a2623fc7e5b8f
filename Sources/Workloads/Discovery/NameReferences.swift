import Engine
import Glibc
import Model

/// Finds the names of other containers in what a container is told.
///
/// A name counts only where an address stands: alone, before a port, or after `//` or `@`. Words that
/// happen to be names of containers stand in many texts.
struct NameReferences: Sendable {
    private let names: Set<String>

    init(_ names: Set<String>) { self.names = names }

    /// The names in a setting.
    ///
    /// - Parameter name: Of the variable, if it is one: only where that speaks of a place can a name
    ///   stand alone. Databases and users often have the names of applications.
    func inSetting(_ text: String, called name: String? = nil) -> Set<String> {
        let isPlace =
            name.map { name in
                Self.places.contains { name.uppercased().contains($0) }
            } ?? false
        if isPlace, names.contains(text) { return [text] }
        return search(text, wordsAreEnough: false)
    }

    private static let places = [
        "HOST", "SERVER", "ADDR", "URL", "URI", "ENDPOINT", "UPSTREAM", "BACKEND",
    ]

    /// The names in a configuration file of a web server or proxy.
    func inProxyFile(_ text: String) -> Set<String> { search(text, wordsAreEnough: true) }

    /// - Parameter wordsAreEnough: Also what follows the words with which proxies name a place.
    private func search(_ text: String, wordsAreEnough: Bool) -> Set<String> {
        var found: Set<String> = []
        let bytes = Array(text.utf8)
        var start = 0
        var before: [UInt8] = []
        while start < bytes.count {
            guard Self.isName(bytes[start]) else {
                start += 1
                continue
            }
            var end = start
            while end < bytes.count, Self.isName(bytes[end]) { end += 1 }
            let word = Array(bytes[start..<end])
            let name = String(decoding: word, as: UTF8.self)
            if names.contains(name) {
                let previous = start > 0 ? bytes[start - 1] : 0
                let next = end + 1 < bytes.count ? (bytes[end], bytes[end + 1]) : (0, 0)
                let isPort =
                    next.0 == UInt8(ascii: ":") && (48...57).contains(next.1)
                let slash = UInt8(ascii: "/")
                let isAddress =
                    previous == UInt8(ascii: "@")
                    || start >= 2 && previous == slash && bytes[start - 2] == slash
                let isNamed = wordsAreEnough && Self.openers.contains(before)
                if isPort || isAddress || isNamed { found.insert(name) }
            }
            before = word
            start = end
        }
        return found
    }

    private static let openers = [
        "reverse_proxy", "proxy_pass", "server", "upstream", "fastcgi_pass", "php_fastcgi", "to",
        "grpc_pass", "uwsgi_pass",
    ].map { Array($0.utf8) }

    private static func isName(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
            || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")].contains(byte)
    }

    // MARK: Files of proxies

    private static let sizeLimit: off_t = 256 << 10
    private static let countLimit = 200
    private static let depthLimit = 4

    /// The contents of what looks like a proxy's configuration: a file, or files in a directory. May
    /// block.
    static func proxyFiles(in root: String) -> [String] {
        var status = stat()
        guard stat(root, &status) == 0 else { return [] }
        if status.st_mode & S_IFMT == S_IFREG {
            return isProxyFile(root) ? content(root, status).map { [$0] } ?? [] : []
        }
        var texts: [String] = []
        var pending = [(path: root, depth: 1)]
        var count = 0
        let files = FileSystem()
        while let (directory, depth) = pending.popLast() {
            for name in ((try? files.names(in: directory)) ?? []).sorted() {
                count += 1
                guard count <= countLimit * 10, texts.count < countLimit else { return texts }
                let path = "\(directory)/\(name)"
                guard lstat(path, &status) == 0 else { continue }
                if status.st_mode & S_IFMT == S_IFDIR, depth < depthLimit {
                    pending.append((path, depth + 1))
                } else if status.st_mode & S_IFMT == S_IFREG, isProxyFile(name),
                    let text = content(path, status)
                {
                    texts.append(text)
                }
            }
        }
        return texts
    }

    private static func isProxyFile(_ path: String) -> Bool {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        if name == "Caddyfile" { return true }
        return [".caddy", ".conf", ".cfg", ".yml", ".yaml", ".toml"].contains {
            name.hasSuffix($0)
        }
    }

    private static func content(_ path: String, _ status: stat) -> String? {
        guard status.st_size <= sizeLimit, let bytes = try? FileSystem().read(path) else {
            return nil
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
