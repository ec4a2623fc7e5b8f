/// Something within a snapshot: a part, and for a tree a path below its root.
public struct SnapshotPlace: Sendable, Hashable {
    public var part: SnapshotPart
    /// Components joined by `/`; empty for the part itself.
    public var path: [UInt8]

    public init(part: SnapshotPart, path: [UInt8] = []) {
        self.part = part
        self.path = path
    }
}

extension SnapshotPart {
    /// How people address a tree: the path that it was captured from, for a volume and everything
    /// else the part's own name.
    public var address: String {
        guard kind == .tree, attributes["volume"] == nil, let path = attributes["path"],
            path.hasPrefix("/")
        else { return name }
        return path
    }

    /// `path` of this tree as people address it.
    public func address(of path: [UInt8]) -> [UInt8] {
        let root = Array(address.utf8)
        if path.isEmpty { return root }
        return root.last == UInt8(ascii: "/") ? root + path : root + [UInt8(ascii: "/")] + path
    }
}

extension SnapshotRecord {
    /// What `address` names: `/srv/www/index.html` as the captured machine had it, or a part's name
    /// with a path behind it, for example `tree/0/index.html`; nil when no part covers it.
    ///
    /// Only the parts are looked at: whether a tree holds the path is not known.
    public func place(at address: [UInt8]) -> SnapshotPlace? {
        let slash = UInt8(ascii: "/")
        let isAbsolute = address.first == slash
        let components = address.split(separator: slash).filter { !$0.elementsEqual(".".utf8) }
        guard !components.contains(where: { $0.elementsEqual("..".utf8) }) else { return nil }
        var best: (length: Int, place: SnapshotPlace)?
        for part in parts {
            let root: [ArraySlice<UInt8>]
            if isAbsolute {
                guard let path = part.attributes["path"], path.hasPrefix("/") else { continue }
                root = Array(path.utf8).split(separator: slash)
            } else {
                root = Array(part.name.utf8).split(separator: slash)
            }
            guard components.starts(with: root), best.map({ root.count > $0.length }) ?? true,
                part.kind == .tree || components.count == root.count
            else { continue }
            let path = Array(components[root.count...].joined(separator: [slash]))
            best = (root.count, SnapshotPlace(part: part, path: path))
        }
        return best?.place
    }
}

/// The bytes that `text` may stand for: itself, and what `printable` would have shown as it.
///
/// Names are bytes; one that is no text is shown with `\xNN`, and can be given back like that.
public func nameCandidates(_ text: String) -> [[UInt8]] {
    let literal = Array(text.utf8)
    var decoded: [UInt8] = []
    var index = 0
    while index < literal.count {
        if index + 3 < literal.count, literal[index] == UInt8(ascii: "\\"),
            literal[index + 1] == UInt8(ascii: "x"),
            let byte = Hexadecimal.decode(
                String(decoding: literal[(index + 2)...(index + 3)], as: UTF8.self))?.first
        {
            decoded.append(byte)
            index += 4
        } else {
            decoded.append(literal[index])
            index += 1
        }
    }
    return decoded == literal ? [literal] : [literal, decoded]
}
