import Model
import Snapshot

/// What `dr find` looks for.
struct NamePattern: Sendable {
    private enum Rule: Sendable {
        /// Of the last component, or of the whole address.
        case exactly([UInt8], isPath: Bool)
        case glob(GlobPattern)
        case containing([UInt8])
    }

    private let rule: Rule
    private let ignoresCase: Bool

    /// - Parameters:
    ///   - text: Without a `/` it is about names; with one at its beginning about whole paths; with
    ///     one elsewhere about the end of paths. `*`, `?` and `[…]` make it a pattern.
    ///   - containing: It is just bytes that stand somewhere in the path.
    init(_ text: String, containing: Bool, ignoresCase: Bool) throws {
        guard !text.isEmpty else {
            throw Failure(.usage, "there is nothing to look for", hint: "write '*' for everything")
        }
        self.ignoresCase = ignoresCase
        var bytes = nameCandidates(text).last ?? []
        if ignoresCase { bytes = bytes.map(Self.lowered) }
        let slash = UInt8(ascii: "/")
        let isGlob = text.contains { "*?[".contains($0) }
        if containing {
            rule = .containing(bytes)
        } else if isGlob {
            let whole = ignoresCase ? text.lowercased() : text
            let isEnd = !text.hasPrefix("/") && text.contains("/")
            rule = .glob(GlobPattern(isEnd ? "**/" + whole : whole))
        } else if bytes.contains(slash), bytes.first != slash {
            rule = .glob(GlobPattern("**/" + Self.quoted(bytes)))
        } else {
            while bytes.count > 1, bytes.last == slash { bytes.removeLast() }
            rule = .exactly(bytes, isPath: bytes.first == slash)
        }
    }

    /// - Parameters:
    ///   - address: As people address it.
    ///   - name: Its last component.
    func matches(_ address: [UInt8], _ name: ArraySlice<UInt8>) -> Bool {
        switch rule {
        case .exactly(let bytes, isPath: true): folded(address[...]).elementsEqual(bytes)
        case .exactly(let bytes, isPath: false): folded(name).elementsEqual(bytes)
        case .glob(let pattern): pattern.matches(Array(folded(address[...])))
        case .containing(let bytes): Self.contains(folded(address[...]), bytes)
        }
    }

    private func folded(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        ignoresCase ? bytes.map(Self.lowered)[...] : bytes
    }

    private static func lowered(_ byte: UInt8) -> UInt8 {
        (65...90).contains(byte) ? byte + 32 : byte
    }

    /// As a pattern that means nothing but itself.
    private static func quoted(_ bytes: [UInt8]) -> String {
        String(
            decoding: bytes.flatMap { byte -> [UInt8] in
                "*?[\\".utf8.contains(byte) ? [UInt8(ascii: "\\"), byte] : [byte]
            }, as: UTF8.self)
    }

    private static func contains(_ bytes: ArraySlice<UInt8>, _ wanted: [UInt8]) -> Bool {
        guard wanted.count <= bytes.count else { return false }
        return (bytes.startIndex...(bytes.endIndex - wanted.count)).contains {
            bytes[$0..<($0 + wanted.count)].elementsEqual(wanted)
        }
    }
}
