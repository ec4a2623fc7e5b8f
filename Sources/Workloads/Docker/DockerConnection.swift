import CLinux
import Engine
import Glibc
import Model

/// A connection to the Engine that stops being HTTP: after the answer to an exec's start it carries
/// the program's bytes both ways.
///
/// Owned by the thread that reads; ``feed(from:interrupt:)`` and the reads may run on two threads.
final class DockerConnection: Sendable {
    private let descriptor: Int32
    private let place: String

    /// Connects to a unix socket.
    init(socket path: String) throws {
        place = path
        descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        if descriptor < 0 { throw SystemError.last("socket", path) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array(path.utf8)
        guard name.count < MemoryLayout.size(ofValue: address.sun_path) else {
            close(descriptor)
            throw Failure(.usage, "the path of a socket is too long: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, size)
            }
        }
        if result != 0 {
            let error = SystemError.last("connect", path)
            close(descriptor)
            throw Failure(
                .failed, "the Docker Engine at unix://\(path) does not answer",
                cause: error.description, side: .source, isTransient: true)
        }
    }

    deinit { close(descriptor) }

    /// Waits for bytes and reads them.
    ///
    /// - Returns: 0 at the end.
    /// - Throws: `CancellationError` once `interrupt` is raised, ``ExecTimeout`` at `deadline`.
    func read(
        into buffer: UnsafeMutableRawBufferPointer, interrupt: Interrupt,
        deadline: ContinuousClock.Instant?
    ) throws -> Int {
        while true {
            var milliseconds: Int32 = -1
            if let deadline {
                let left = TimeSpan(deadline - .now)
                if left <= .zero { throw ExecTimeout() }
                milliseconds = Int32(min(left.seconds * 1000 + 1, 1e9))
            }
            let events = interrupt.wait(
                for: descriptor, events: POLLIN, milliseconds: milliseconds)
            if interrupt.isRaised { throw CancellationError() }
            if events == 0 { continue }
            let count = recv(
                descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
            if count >= 0 { return count }
            if errno != EINTR, errno != EAGAIN { throw lost(errno) }
        }
    }

    /// Sends all of `bytes`.
    ///
    /// - Returns: False when the other side takes no more.
    func send(_ bytes: UnsafeRawBufferPointer, interrupt: Interrupt) throws -> Bool {
        var rest = bytes
        while let base = rest.baseAddress, !rest.isEmpty {
            let count = Glibc.send(
                descriptor, base, rest.count,
                Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
            if count >= 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            } else if errno == EAGAIN {
                _ = interrupt.wait(for: descriptor, events: POLLOUT)
                if interrupt.isRaised { throw CancellationError() }
            } else if errno == EPIPE || errno == ECONNRESET {
                return false
            } else if errno != EINTR {
                throw lost(errno)
            }
        }
        return true
    }

    /// Sends what can be read from `input` until its end, then says that no more will come.
    ///
    /// A program that has stopped reading ends this early; that is for its exit code to judge.
    func feed(from input: Int32, interrupt: Interrupt) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
        defer { buffer.deallocate() }
        while true {
            _ = interrupt.wait(for: input, events: POLLIN)
            if interrupt.isRaised { return }
            let count = Glibc.read(input, buffer.baseAddress, buffer.count)
            if count < 0 {
                if errno == EINTR || errno == EAGAIN { continue }
                throw SystemError.last("read", "standard input of a program")
            }
            if count == 0 { break }
            let taken: Bool
            do {
                taken = try send(
                    UnsafeRawBufferPointer(rebasing: buffer[..<count]), interrupt: interrupt)
            } catch is CancellationError { return }
            if !taken { return }
        }
        shutdown(descriptor, Int32(SHUT_WR))
    }

    private func lost(_ number: Int32) -> Failure {
        Failure(
            .failed, "the connection to the Docker Engine at unix://\(place) was lost",
            cause: String(cString: strerror(number)), side: .source, isTransient: true)
    }
}

/// The time of a program ran out.
struct ExecTimeout: Error {}
