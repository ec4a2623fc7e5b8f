public import Model

/// Tells receivers, side by side, each once, and waits for none longer than a limit.
///
/// What goes wrong is a result: nobody's night fails because a receiver is dead.
public struct Notifier: Sendable {
    /// A receiver that was not reached.
    public struct Problem: Sendable, Hashable {
        /// Without anything secret.
        public var receiver: String
        public var reason: String
    }

    private let receivers: [NotificationReceiver]
    private let http: HTTPClient
    private let programs: any ProgramRunner
    private let secret: @Sendable (SecretSource) async throws -> String
    private let limit: TimeSpan
    private let sendmail: String

    /// - Parameters:
    ///   - sendmail: The program that takes mails.
    ///   - secret: Reads tokens when they are needed.
    ///   - limit: The longest that any receiver may take, reading its token included.
    public init(
        _ receivers: [NotificationReceiver], http: HTTPClient = HTTPClient(),
        programs: any ProgramRunner = LocalPrograms(), sendmail: String = "sendmail",
        limit: TimeSpan = TimeSpan(seconds: 10),
        secret: @escaping @Sendable (SecretSource) async throws -> String
    ) {
        self.receivers = receivers
        self.http = http
        self.programs = programs
        self.sendmail = sendmail
        self.limit = limit
        self.secret = secret
    }

    /// Whether anybody would be told.
    public func hasReceiver(for notice: Notice) -> Bool {
        receivers.contains(where: notice.concerns)
    }

    /// Tells everybody whom the notice concerns; also when the task was cancelled.
    ///
    /// Takes no longer than the limit: what a receiver, its name server or the program that gives its
    /// token does after that is not waited for.
    ///
    /// - Returns: Who was not reached, in the order of the receivers.
    public func send(_ notice: Notice) async -> [Problem] {
        await Task { await sendToAll(notice) }.value
    }

    private func sendToAll(_ notice: Notice) async -> [Problem] {
        let concerned = receivers.filter(notice.concerns)
        guard !concerned.isEmpty else { return [] }
        let (results, sink) = AsyncStream.makeStream(of: (index: Int, problem: Problem?).self)
        let deliveries = concerned.enumerated().map { index, receiver in
            Task { sink.yield((index, await tell(receiver, notice))) }
        }
        let timer = Task {
            try? await Task.sleep(for: limit.duration)
            sink.finish()
        }
        var open = Set(concerned.indices)
        var problems: [Int: Problem] = [:]
        for await (index, problem) in results {
            open.remove(index)
            problems[index] = problem
            if open.isEmpty { break }
        }
        timer.cancel()
        for delivery in deliveries { delivery.cancel() }
        for index in open {
            problems[index] = Problem(
                receiver: concerned[index].shown, reason: "no answer within \(limit)")
        }
        return concerned.indices.compactMap { problems[$0] }
    }

    private func tell(_ receiver: NotificationReceiver, _ notice: Notice) async -> Problem? {
        do {
            guard let reason = try await deliver(notice, to: receiver) else { return nil }
            return Problem(receiver: receiver.shown, reason: reason)
        } catch {
            let text = Failure(wrapping: error).description
            return Problem(receiver: receiver.shown, reason: printable(text.utf8))
        }
    }

    /// - Returns: Why it was not taken; nil when it was.
    private func deliver(
        _ notice: Notice, to receiver: NotificationReceiver
    ) async throws -> String? {
        let token: String?
        if let source = receiver.token {
            token = try await secret(source)
        } else {
            token = nil
        }
        if receiver.kind == .mail { return try await mail(notice, to: receiver.address) }
        var request = try NoticeRequest.make(notice, for: receiver, token: token)
        request.connectTimeout = limit
        request.totalTimeout = limit
        request.maximumBody = 1 << 20
        do {
            let answer = try await http.send(request)
            return answer.isSuccess ? nil : "it answered with status \(answer.status)"
        } catch {
            // The failure's own message shows the address, which may hold a secret.
            return Failure(wrapping: error).cause ?? "no connection"
        }
    }

    private func mail(_ notice: Notice, to address: String) async throws -> String? {
        let pipe = try Pipe()
        // A mail is shorter than a pipe is deep: nobody waits for a reader.
        let bytes = NoticeMail.make(notice, to: address)
        try bytes.withUnsafeBytes {
            try FileSystem().write($0, to: pipe.writer, path: "sendmail")
        }
        pipe.closeWriter()
        let result = try await programs.run(
            ProgramCall([sendmail, "-t", "-i"], input: pipe.reader, timeout: limit))
        guard !result.succeeded else { return nil }
        let words = result.errorText.prefix { $0 != "\n" }
        return "sendmail ended with \(result.status) \(printable(words.utf8))"
    }
}
