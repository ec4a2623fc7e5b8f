import CLinux
import Engine
import Model

/// Programs whose output is captured, or which read what is brought back, without a file between.
struct ProgramStreams: Sendable {
    let programs: any ProgramRunner

    private static func pipe() throws -> Pipe {
        do throws(SystemError) {
            let pipe = try Pipe()
            // Fewer switches between the two sides; refused where the user has too many pipes.
            let setPipeSize: Int32 = 1031  // F_SETPIPE_SZ
            _ = dr_fcntl_int(pipe.writer, setPipeSize, 1 << 20)
            return pipe
        } catch { throw error.failure(side: .local) }
    }

    /// Streams a program's standard output into `sink`.
    ///
    /// - Returns: How many bytes came, and how the program ended. Both count: the pipe's end says
    ///   nothing about the program.
    func capture(
        _ call: ProgramCall, into sink: any CaptureSink, as name: String,
        of content: StreamContent = .anything, attributes: [String: String] = [:],
        observer: (any StreamObserver)? = nil
    ) async throws -> (bytes: UInt64, result: ProgramResult) {
        enum Side { case program(ProgramResult), stream(UInt64) }
        let pipe = try Self.pipe()
        return try await withThrowingTaskGroup(of: Side.self) { group in
            group.addTask {
                defer { pipe.closeWriter() }
                var call = call
                call.output = pipe.writer
                return .program(try await programs.run(call))
            }
            group.addTask {
                defer { pipe.closeReader() }
                return .stream(
                    try await sink.stream(
                        name, from: pipe.reader, of: content, attributes: attributes,
                        observer: observer))
            }
            var bytes: UInt64 = 0
            var result = ProgramResult(status: 0)
            // The first error cancels the other side.
            for try await side in group {
                switch side {
                case .program(let ended): result = ended
                case .stream(let count): bytes = count
                }
            }
            return (bytes, result)
        }
    }

    /// Lets `take` read a program's standard output.
    ///
    /// - Returns: What `take` came to, and how the program ended. A program whose output nobody reads
    ///   to the end is ended.
    func read<Value: Sendable>(
        _ call: ProgramCall, _ take: @escaping @Sendable (Int32) async throws -> Value
    ) async throws -> (taken: Result<Value, any Error>, result: ProgramResult) {
        let pipe = try Self.pipe()
        let programs = programs
        let running = Task {
            defer { pipe.closeWriter() }
            var call = call
            call.output = pipe.writer
            return try await programs.run(call)
        }
        return try await withTaskCancellationHandler {
            let taken: Result<Value, any Error>
            do { taken = .success(try await take(pipe.reader)) } catch { taken = .failure(error) }
            pipe.closeReader()
            guard case .failure(let error) = taken else { return (taken, try await running.value) }
            // It finds nobody to write to any more; what it then says may say why.
            let patience = Task {
                try await Task.sleep(for: .seconds(10))
                running.cancel()
            }
            defer { patience.cancel() }
            switch await running.result {
            case .success(let ended): return (taken, ended)
            // It could not even be started.
            case .failure(let cause as Failure): throw cause
            case .failure: throw error
            }
        } onCancel: {
            running.cancel()
        }
    }

    /// Streams a part into a program's standard input.
    ///
    /// A program that does not read to the end, and a part that cannot be read to its end, are
    /// errors whatever the exit code; the program's own failure is the one returned when both fail.
    ///
    /// - Returns: How many bytes went, and how the program ended.
    func replay(
        _ part: String, from source: any ReplaySource, into call: ProgramCall
    ) async throws -> (bytes: UInt64, result: ProgramResult) {
        let (bytes, result) = try await feeding(call) { try await source.stream(part, to: $0) }
        return (bytes ?? 0, result)
    }

    /// The same for whatever `write` writes into the descriptor it is given.
    ///
    /// - Returns: What `write` returned, nil when the program failed before; how the program ended.
    func feeding<Written: Sendable>(
        _ call: ProgramCall, _ write: @escaping @Sendable (Int32) async throws -> Written
    ) async throws -> (written: Written?, result: ProgramResult) {
        let pipe = try Self.pipe()
        return try await withThrowingTaskGroup(of: FedSide<Written>.self) { group in
            group.addTask {
                defer { pipe.closeReader() }
                var call = call
                call.input = pipe.reader
                do { return .program(.success(try await programs.run(call))) } catch {
                    return .program(.failure(error))
                }
            }
            group.addTask {
                do {
                    let written = try await write(pipe.writer)
                    pipe.closeWriter()
                    return .stream(.success(written))
                } catch {
                    // The program must not take this for the end of the data.
                    return .stream(.failure(error))
                }
            }
            var written: Written?
            var result: ProgramResult?
            var feedError: (any Error)?
            for try await side in group {
                switch side {
                case .program(.success(let ended)): result = ended
                case .program(.failure(let error)):
                    if feedError == nil || !(error is CancellationError) { throw error }
                case .stream(.success(let done)): written = done
                case .stream(.failure(let error)):
                    feedError = error
                    // Most likely the program has ended and its own words say why.
                    group.addTask {
                        try? await Task.sleep(for: .seconds(2))
                        return .patienceIsOver
                    }
                case .patienceIsOver: group.cancelAll()
                }
                if let result, let written { return (written, result) }
                if let result, let feedError {
                    if !result.succeeded { return (nil, result) }
                    throw feedError
                }
            }
            throw feedError ?? CancellationError()
        }
    }

    /// Runs a program with `bytes` as its standard input.
    func run(_ call: ProgramCall, feeding bytes: [UInt8]) async throws -> ProgramResult {
        let pipe = try Self.pipe()
        async let fed: Void = BlockingPool.shared.run {
            defer { pipe.closeWriter() }
            // A program that ends before it has read everything says why itself.
            try? withoutBrokenPipeSignal {
                try bytes.withUnsafeBytes {
                    try FileSystem().write($0, to: pipe.writer, path: "pipe")
                }
            }
        }
        var call = call
        call.input = pipe.reader
        let result: ProgramResult
        do { result = try await programs.run(call) } catch {
            pipe.closeReader()
            try? await fed
            throw error
        }
        pipe.closeReader()
        try? await fed
        return result
    }
}

/// One of the two sides of a pipe into a program has ended.
private enum FedSide<Written: Sendable>: Sendable {
    case program(Result<ProgramResult, any Error>)
    case stream(Result<Written, any Error>)
    case patienceIsOver
}

extension ProgramResult {
    /// The failure of a program that ended with another code than 0, with its last words.
    func failure(_ what: String, side: Failure.Side, hint: String? = nil) -> Failure {
        let lines = errorText.split(whereSeparator: \.isNewline).suffix(4)
        let words = lines.map { printable($0.utf8) }.joined(separator: "; ")
        return Failure(
            .failed, "\(what) failed with exit code \(status)", hint: hint,
            cause: words.isEmpty ? nil : words, side: side)
    }
}
