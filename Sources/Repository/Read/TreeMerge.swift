public import Model

/// Walks many trees at once, path by path, and says which of them hold the same entry.
///
/// What trees share is read and decoded once: trees go on as one for as long as their entry lists
/// are made of the same chunks, so that looking through a year of nights costs little more than
/// looking through one of them and what changed since. Memory depends on the number of trees that
/// differ at one place, not on the number of entries. Owned by one thread.
public final class TreeMerge {
    /// One entry, and the trees that hold it as it is.
    public struct Group: Sendable {
        public var entry: TreeEntry
        /// Places in the list that the merge was made with, ascending.
        public var trees: [Int]
    }

    /// What the trees hold at one path; a tree that does not have it is in no group.
    public struct Step: Sendable {
        public var path: [UInt8]
        public var groups: [Group]
    }

    /// A tree, and how much of its list was read.
    private struct Member {
        var tree: Int
        var next: Int
    }

    /// Trees that stand at the same place of equal lists.
    private struct Strand {
        var decoder: TreeDecoder
        var members: [Member]
        var current: TreeEntry?
    }

    /// Where trees must agree to be walked as one: what was decoded, and what comes next.
    private struct Place: Hashable {
        var position: TreeDecoder.Position
        /// A number of `chunks`; nil at the list's end.
        var chunk: UInt32?
    }

    private let reader: ChunkReader
    /// Every chunk of any list, once.
    private var chunks: [ChunkReference] = []
    /// Each tree's list, as numbers of `chunks`.
    private var lists: [[UInt32]] = []
    private var strands: [Strand] = []
    /// Trees that cannot be read further, and why.
    public private(set) var failures: [Int: any Error] = [:]

    /// - Parameter trees: Contents of tree parts: their entry lists.
    public init(_ trees: [ContentReference], reader: ChunkReader) {
        self.reader = reader
        var numbers: [ChunkReference: UInt32] = [:]
        var seen: [ContentReference: Int] = [:]
        var members: [Member] = []
        for (tree, content) in trees.enumerated() {
            if let equal = seen[content] {
                lists.append(lists[equal])
                if let failure = failures[equal] { failures[tree] = failure }
            } else {
                seen[content] = tree
                var list: [UInt32] = []
                do {
                    try reader.forEachLeaf(content) { references in
                        for reference in references {
                            let new = UInt32(truncatingIfNeeded: chunks.count)
                            let number = numbers[reference] ?? new
                            if number == new {
                                numbers[reference] = new
                                chunks.append(reference)
                            }
                            list.append(number)
                        }
                    }
                } catch {
                    failures[tree] = error
                }
                lists.append(list)
            }
            if failures[tree] == nil { members.append(Member(tree: tree, next: 0)) }
        }
        guard !members.isEmpty else { return }
        strands = [
            Strand(decoder: TreeDecoder(object: "a tree"), members: members, current: nil)
        ]
    }

    /// The next path of any tree, in tree order; nil after the last.
    ///
    /// A tree that turns out to be damaged takes no further part and is named in ``failures``.
    public func next() -> Step? {
        fill()
        guard var path = strands.first?.current?.path else { return nil }
        for strand in strands.dropFirst() {
            if let other = strand.current?.path, TreeOrder.precedes(other, path) { path = other }
        }
        var step = Step(path: path, groups: [])
        for index in strands.indices {
            guard let entry = strands[index].current, entry.path == path else { continue }
            strands[index].current = nil
            step.groups.append(
                Group(entry: entry, trees: strands[index].members.map(\.tree)))
        }
        return step
    }

    /// Gives every strand its next entry; joins strands that have come together, parts those whose
    /// lists go different ways.
    private func fill() {
        var ready: [Strand] = []
        var hungry: [Strand] = []
        for strand in strands {
            if strand.current == nil {
                decode(strand, &ready, &hungry)
            } else {
                ready.append(strand)
            }
        }
        while !hungry.isEmpty {
            let groups = regrouped(hungry)
            hungry = []
            for (place, strand) in groups { feed(strand, place.chunk, &ready, &hungry) }
        }
        strands = ready
    }

    private func regrouped(_ hungry: [Strand]) -> [(Place, Strand)] {
        // Nearly always there is one, and all of it goes the same way.
        var found: [(Place, Strand)] = []
        var places: [Place: Int] = [:]
        for strand in hungry {
            let position = strand.decoder.state
            for member in strand.members {
                let list = lists[member.tree]
                let chunk = member.next < list.count ? list[member.next] : nil
                let place = Place(position: position, chunk: chunk)
                if let index = places[place] {
                    found[index].1.members.append(member)
                } else {
                    places[place] = found.count
                    found.append(
                        (place, Strand(decoder: strand.decoder, members: [member], current: nil)))
                }
            }
        }
        for index in found.indices where found[index].1.members.count > 1 {
            found[index].1.members.sort { $0.tree < $1.tree }
        }
        return found
    }

    private func feed(
        _ strand: Strand, _ chunk: UInt32?, _ ready: inout [Strand], _ hungry: inout [Strand]
    ) {
        var strand = strand
        do {
            guard let chunk else { return try strand.decoder.finish() }
            try reader.read([chunks[Int(chunk)]], role: .listing) { bytes, reference in
                guard !reference.isZeros else {
                    throw FormatError("a tree", "its entry list has a hole")
                }
                strand.decoder.feed(bytes)
            }
        } catch {
            return fail(strand, error)
        }
        for index in strand.members.indices { strand.members[index].next += 1 }
        decode(strand, &ready, &hungry)
    }

    private func decode(_ strand: Strand, _ ready: inout [Strand], _ hungry: inout [Strand]) {
        var strand = strand
        do {
            strand.current = try strand.decoder.next()
            if strand.current == nil { hungry.append(strand) } else { ready.append(strand) }
        } catch {
            fail(strand, error)
        }
    }

    private func fail(_ strand: Strand, _ error: any Error) {
        for member in strand.members { failures[member.tree] = error }
    }
}
