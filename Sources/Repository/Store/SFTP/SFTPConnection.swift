import CLinux
import Engine
import Glibc
import Model
import Synchronization

/// A conversation with an SFTP server through the system's own `ssh`; many requests at once.
///
/// Calls block. When the server says nothing for a while although it was asked, or `ssh` ends, every
/// call fails, now and later: then another connection is opened.
final class SFTPConnection: Sendable {
    private struct State {
        var next: UInt32 = 1
        var replies: [UInt32: SFTPReply] = [:]
        var waiting: Set<UInt32> = []
        var lastHeard = ContinuousClock.now
        var end: Failure?
    }

    /// What the server offers besides the protocol.
    let extensions: [String: String]
    private let state: Monitor<State>
    private let writing = Mutex(())
    private let toServer: Pipe
    private let interrupt: Interrupt
    private let running: Task<ProgramResult, any Error>

    /// Longest silence while something was asked for.
    private static let patience = Duration.seconds(60)

    /// Connects; returns when the server has said hello.
    static func open(_ address: SFTPAddress, ssh: SSHProgram) async throws -> SFTPConnection {
        let there: Pipe
        let back: Pipe
        let interrupt: Interrupt
        do throws(SystemError) {
            there = try Pipe()
            back = try Pipe()
            interrupt = try Interrupt()
        } catch { throw error.failure(side: .local) }
        let words = address.destination.words(ssh, options: ["-s"], command: "sftp")
        let running = Task {
            defer {
                // Else whoever writes waits for a program that is gone.
                there.closeReader()
                back.closeWriter()
            }
            return try await LocalPrograms().run(
                ProgramCall(words, input: there.reader, output: back.writer))
        }
        do {
            let extensions = try await onThread(name: "dr-sftp-hello", interrupt: interrupt) {
                try hello(there.writer, back.reader, interrupt)
            }
            return SFTPConnection(
                extensions: extensions, toServer: there, fromServer: back, interrupt: interrupt,
                running: running, address)
        } catch {
            there.closeWriter()
            if error is CancellationError || interrupt.isRaised {
                running.cancel()
                throw CancellationError()
            }
            // A server that says nothing is ended; else `ssh` says why there is none.
            let timeout = Task {
                try await Task.sleep(for: .seconds(5))
                running.cancel()
            }
            defer { timeout.cancel() }
            throw ended(try? await running.value, address, otherwise: Failure(wrapping: error))
        }
    }

    private init(
        extensions: [String: String], toServer: Pipe, fromServer: Pipe, interrupt: Interrupt,
        running: Task<ProgramResult, any Error>, _ address: SFTPAddress
    ) {
        self.extensions = extensions
        self.toServer = toServer
        self.interrupt = interrupt
        self.running = running
        let state = Monitor(State())
        self.state = state
        WorkerThread.detach(name: "dr-sftp") {
            Self.listen(fromServer, state, interrupt)
            Task {
                // Whoever waits is told why when `ssh` has said it.
                running.cancel()
                let failure = Self.ended(
                    try? await running.value, address,
                    otherwise: Failure(
                        .failed, "\(address) has ended the connection", side: .repository,
                        isTransient: true))
                state.update { if $0.end == nil { $0.end = failure } }
            }
        }
    }

    deinit { close() }

    /// Ends the conversation.
    func close() {
        interrupt.raise()
        toServer.closeWriter()
    }

    var hasEnded: Bool { state.update { $0.end != nil } }

    // MARK: Asking

    /// Sends a request; its answer must be fetched.
    func send(_ request: SFTPRequest) throws -> UInt32 {
        let id = try state.update { state in
            if let end = state.end { throw end }
            // Silence counts from when there was something to wait for.
            if state.waiting.isEmpty { state.lastHeard = .now }
            defer { state.next &+= 1 }
            state.waiting.insert(state.next)
            return state.next
        }
        var packet: [UInt8] = []
        packet.reserveCapacity(request.bytes.count + 9)
        packet += withUnsafeBytes(of: UInt32(request.bytes.count + 5).bigEndian, Array.init)
        packet.append(request.kind.rawValue)
        packet += withUnsafeBytes(of: id.bigEndian, Array.init)
        packet += request.bytes
        do {
            try writing.withLock { _ in
                try withoutBrokenPipeSignal { try Self.write(packet, to: toServer.writer) }
            }
        } catch {
            // The reader finds out why.
            interrupt.raise()
        }
        return id
    }

    /// Waits for the answer to a request.
    func reply(to id: UInt32) throws -> SFTPReply {
        try state.wait { state -> SFTPReply? in
            if let reply = state.replies.removeValue(forKey: id) { return reply }
            if let end = state.end { throw end }
            return nil
        }
    }

    /// Sends a request and waits for its answer, which must be of one kind.
    ///
    /// - Throws: ``SFTPRefusal`` where the server refuses.
    @discardableResult
    func ask(_ request: SFTPRequest, _ kind: SFTPReply.Kind) throws -> SFTPReply {
        try Self.checked(try reply(to: try send(request)), kind)
    }

    /// The answer, when it is of that kind; a status that is no success is thrown.
    static func checked(_ reply: SFTPReply, _ kind: SFTPReply.Kind) throws -> SFTPReply {
        var reply = reply
        if reply.kind == .status {
            let number = try reply.number()
            let status = SFTPReply.Status(rawValue: number) ?? .failure
            if status == .ok, kind == .status { return reply }
            let message = (try? reply.text()) ?? ""
            throw SFTPRefusal(status: status, message: message)
        }
        guard reply.kind == kind else { throw SFTPReply.broken }
        return reply
    }

    // MARK: The line

    private static func hello(
        _ writer: Int32, _ reader: Int32, _ interrupt: Interrupt
    ) throws -> [String: String] {
        try write([0, 0, 0, 5, SFTPRequest.Kind.initialise.rawValue, 0, 0, 0, 3], to: writer)
        let limit = ContinuousClock.now + patience
        var input = SFTPInput(descriptor: reader)
        let packet = try input.packet(interrupt) { ContinuousClock.now < limit }
        guard let packet, packet.first == SFTPReply.Kind.version.rawValue else {
            throw Failure(
                .failed, "the other side does not speak SFTP",
                hint: "try sftp by hand: nothing may be printed at login there", side: .repository)
        }
        var reply = SFTPReply(kind: .version, packet.dropFirst())
        guard try reply.number() >= 3 else { throw SFTPReply.broken }
        var extensions: [String: String] = [:]
        while !reply.isAtEnd { extensions[try reply.text()] = try reply.text() }
        return extensions
    }

    /// Hands answers to those who wait, until there are no more.
    private static func listen(_ pipe: Pipe, _ state: Monitor<State>, _ interrupt: Interrupt) {
        var input = SFTPInput(descriptor: pipe.reader)
        while !interrupt.isRaised {
            let packet = try? input.packet(interrupt) {
                state.update { $0.waiting.isEmpty || ContinuousClock.now - $0.lastHeard < patience }
            }
            guard let packet, packet.count >= 5, let first = packet.first,
                let kind = SFTPReply.Kind(rawValue: first)
            else { break }
            let id = packet.dropFirst().prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
            let reply = SFTPReply(kind: kind, packet.dropFirst(5))
            let isExpected = state.update { state in
                state.lastHeard = .now
                guard state.waiting.remove(id) != nil else { return false }
                state.replies[id] = reply
                return true
            }
            if !isExpected { break }
        }
        pipe.closeReader()
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) throws {
        try bytes.withUnsafeBytes {
            try FileSystem().write($0, to: descriptor, path: "the connection")
        }
    }

    /// Why there is no connection, in the words of `ssh`.
    private static func ended(
        _ result: ProgramResult?, _ address: SFTPAddress, otherwise: Failure
    ) -> Failure {
        let words = result?.errorText.split(whereSeparator: \.isNewline).last.map(String.init) ?? ""
        guard !words.isEmpty else { return otherwise }
        let forGood = ["Permission denied", "Host key verification failed", "subsystem request"]
        let isForGood = forGood.contains { result?.errorText.contains($0) ?? false }
        return Failure(
            .failed, "\(address) cannot be reached",
            hint: isForGood
                ? "let 'sftp \(address.destination)' work as the same user without a question"
                : nil,
            cause: printable(words.utf8), side: .repository, isTransient: !isForGood)
    }
}

/// Packets as they come; owned by one thread.
private struct SFTPInput {
    private static let longestPacket = 1 << 20
    private static let step = 256 << 10

    let descriptor: Int32
    private var bytes: [UInt8] = []
    private var used = 0

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// The next packet without its length; nil at the end, when interrupted or out of patience.
    mutating func packet(
        _ interrupt: Interrupt, while isPatient: () -> Bool
    ) throws -> [UInt8]? {
        while true {
            if bytes.count - used >= 4 {
                let length = Int(bytes[used..<(used + 4)].reduce(0) { $0 << 8 | UInt32($1) })
                guard length > 0, length <= Self.longestPacket else { return nil }
                if bytes.count - used >= 4 + length {
                    let packet = Array(bytes[(used + 4)..<(used + 4 + length)])
                    used += 4 + length
                    if used == bytes.count {
                        bytes.removeAll(keepingCapacity: true)
                        used = 0
                    }
                    return packet
                }
            }
            if used > Self.longestPacket {
                bytes.removeFirst(used)
                used = 0
            }
            guard try more(interrupt, while: isPatient) else { return nil }
        }
    }

    private mutating func more(_ interrupt: Interrupt, while isPatient: () -> Bool) throws -> Bool {
        while interrupt.wait(for: descriptor, events: POLLIN, milliseconds: 1000) == 0 {
            if interrupt.isRaised || !isPatient() { return false }
        }
        var count = 0
        var number: Int32 = 0
        // Not filled with zeros before: most answers are short.
        bytes += [UInt8](unsafeUninitializedCapacity: Self.step) { buffer, filled in
            count = read(descriptor, buffer.baseAddress, Self.step)
            number = errno
            filled = max(0, count)
        }
        if count < 0, number == EINTR { return true }
        return count > 0
    }
}
