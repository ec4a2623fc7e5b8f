import CLinux
import Engine
import Glibc
import Model

/// The hijacked connection of one exec, from the request to the stream's end.
struct ExecStream {
    let connection: DockerConnection
    let interrupt: Interrupt
    let deadline: ContinuousClock.Instant?
    let progress: StreamProgress
    /// As much as the socket gives at once; a program's output comes in frames of up to 32 KiB.
    private static let bufferBytes = 1 << 20

    /// Asks the Engine to start the program, and waits until the connection is its.
    ///
    /// - Returns: What came of the stream together with the answer's head.
    func start(exec: String, engine: DockerEngine) throws -> [UInt8] {
        let body = #"{"Detach":false,"Tty":false}"#
        let text =
            "POST /v\(engine.version)/exec/\(exec)/start HTTP/1.1\r\nHost: docker\r\n"
            + "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        let sent = try Array(text.utf8).withUnsafeBytes {
            try connection.send($0, interrupt: interrupt)
        }
        guard sent else { throw engine.unexpected("an exec's start") }
        var answer: [UInt8] = []
        while true {
            if let end = Self.endOfHead(answer) {
                let status = Self.status(answer[..<end])
                if status == 101 || status == 200 { return Array(answer[end...]) }
                throw try refusal(status, engine: engine, body: Array(answer[end...]))
            }
            guard answer.count < 64 << 10, try read(&answer) > 0 else {
                throw engine.unexpected("an exec's start")
            }
        }
    }

    /// Reads frames until the Engine closes the stream.
    ///
    /// - Returns: The end of the program's standard error.
    func demultiplex(_ early: [UInt8], into output: ExecOutput) throws -> String {
        var decoder = FrameDecoder()
        var tail = ErrorTail()
        func take(_ bytes: UnsafeRawBufferPointer) throws {
            try decoder.take(bytes) { stream, payload in
                switch stream {
                case .output, .input: try output.take(payload, interrupt: interrupt)
                case .error: tail.take(payload)
                }
            }
        }
        try early.withUnsafeBytes { try take($0) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Self.bufferBytes, alignment: 4096)
        defer { buffer.deallocate() }
        while true {
            let count = try connection.read(
                into: buffer, interrupt: interrupt, deadline: deadline)
            if count == 0 { break }
            progress.advance()
            try take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        guard decoder.isAtFrameBorder else {
            throw Failure(
                .failed, "the output of a program in a container was cut off", side: .source,
                isTransient: true)
        }
        return tail.text
    }

    private func read(_ bytes: inout [UInt8]) throws -> Int {
        let count = try withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 16) {
            let count = try connection.read(into: $0, interrupt: interrupt, deadline: deadline)
            bytes.append(contentsOf: $0[..<count])
            return count
        }
        return count
    }

    private func refusal(_ status: Int, engine: DockerEngine, body: [UInt8]) throws -> Failure {
        // The answer's rest is short and comes at once; its last byte closes the object.
        var body = body
        while body.last != UInt8(ascii: "\n"), body.last != UInt8(ascii: "}"), body.count < 64 << 10
        {
            if try read(&body) == 0 { break }
        }
        return engine.refusal(HTTPResponse(status: status, headers: [], body: body))
    }

    private static func endOfHead(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for index in 0...(bytes.count - 4)
        where bytes[index] == 13 && bytes[index + 1] == 10 && bytes[index + 2] == 13
            && bytes[index + 3] == 10
        {
            return index + 4
        }
        return nil
    }

    private static func status(_ head: ArraySlice<UInt8>) -> Int {
        let words = String(decoding: head.prefix(64), as: UTF8.self).split(separator: " ")
        return words.count > 1 ? Int(words[1]) ?? 0 : 0
    }
}
