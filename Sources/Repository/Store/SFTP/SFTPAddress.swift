public import Engine
import Model

/// A directory on a machine that SSH reaches.
public struct SFTPAddress: Hashable, Sendable, CustomStringConvertible {
    public var destination: SSHDestination
    /// As the server takes it: absolute, or seen from the user's home.
    public var path: String

    private static let hint =
        "write for example sftp:user@host:/srv/dr or sftp://user@host:22/srv/dr"

    /// - Parameter text: What follows `sftp:`.
    init(parsing text: String) throws(StorePlace.Problem) {
        let machine: Substring
        let rest: Substring
        if text.hasPrefix("//") {
            machine = text.dropFirst(2).prefix { $0 != "/" }
            rest = text.dropFirst(2 + machine.count)
        } else {
            // The first colon behind the host, which may be an address in brackets.
            let closing = text.firstIndex(of: "]") ?? text.startIndex
            guard let colon = text[closing...].firstIndex(of: ":") else {
                throw StorePlace.Problem("names no path: \"\(text)\"", hint: Self.hint)
            }
            machine = text[..<colon]
            rest = text[text.index(after: colon)...]
        }
        if let at = machine.lastIndex(of: "@"), machine[..<at].contains(":") {
            throw StorePlace.Problem(
                "holds a password, which would show up in reports and in the list of processes",
                hint: "take it out and change it; ssh takes keys, which ~/.ssh/config names")
        }
        do {
            destination = try SSHDestination(parsing: String(machine))
        } catch {
            throw StorePlace.Problem(
                "names no machine that ssh can reach: \"\(machine)\"", hint: Self.hint)
        }
        let isFromHome = rest.hasPrefix("/./") || !rest.hasPrefix("/")
        let plain = rest.hasPrefix("/./") ? rest.dropFirst(3) : rest
        guard let components = StorePlace.components(plain), !components.isEmpty else {
            throw StorePlace.Problem("names no directory: \"\(text)\"", hint: Self.hint)
        }
        path = (isFromHome ? "" : "/") + components.joined(separator: "/")
    }

    public var description: String {
        "sftp://\(destination)\(path.hasPrefix("/") ? path : "/./\(path)")"
    }
}
