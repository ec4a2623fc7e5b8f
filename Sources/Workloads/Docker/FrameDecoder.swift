import Model

/// Takes apart what the Engine puts together: standard output and error of a program in one stream.
///
/// Each frame has a header of eight bytes: the stream (1 output, 2 error), three zeros, and the
/// length of what follows, big-endian. Slices of any size may come in; borders do not matter.
struct FrameDecoder {
    enum Stream: UInt8 {
        case input = 0
        case output = 1
        case error = 2
    }

    private var header: [UInt8] = []
    private var current = Stream.output
    private var rest = 0

    /// Between two frames: the only place where the stream may end.
    var isAtFrameBorder: Bool { rest == 0 && header.isEmpty }

    init() { header.reserveCapacity(8) }

    /// Takes the next bytes, and gives out the payload in them without copying.
    mutating func take(
        _ bytes: UnsafeRawBufferPointer, _ body: (Stream, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var bytes = bytes[...]
        while !bytes.isEmpty {
            if rest == 0 {
                let missing = bytes.prefix(8 - header.count)
                header.append(contentsOf: missing)
                bytes = bytes.dropFirst(missing.count)
                guard header.count == 8 else { return }
                guard let stream = Stream(rawValue: header[0]),
                    header[1...3].allSatisfy({ $0 == 0 })
                else {
                    throw Failure(.failed, "docker: an exec stream without frames", side: .source)
                }
                current = stream
                rest = header[4...7].reduce(0) { $0 << 8 | Int($1) }
                header.removeAll(keepingCapacity: true)
            } else {
                let payload = bytes.prefix(rest)
                try body(current, UnsafeRawBufferPointer(rebasing: payload))
                rest -= payload.count
                bytes = bytes.dropFirst(payload.count)
            }
        }
    }
}
