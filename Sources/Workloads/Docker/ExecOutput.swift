import CLinux
import Engine
import Glibc
import Model

/// Where a program's standard output goes: into a descriptor, or into memory.
final class ExecOutput {
    /// The first bytes, for an Engine that says here why it started nothing.
    private(set) var beginning: [UInt8] = []
    private(set) var collected: [UInt8] = []
    private let descriptor: Int32?
    /// Whether ``descriptor`` is this object's own, opened so that writing does not block.
    private let isOwn: Bool
    private let isSocket: Bool
    private static let maximumCollected = 64 << 20

    init(descriptor given: Int32?) {
        guard let given else {
            (descriptor, isOwn, isSocket) = (nil, false, false)
            return
        }
        var status = stat()
        let known = fstat(given, &status) == 0
        let type = known ? status.st_mode & S_IFMT : 0
        // A write to a full pipe would not see that the call was cancelled, and to make the caller's
        // descriptor non-blocking would change it for everybody who has it: open it once more.
        let own =
            type == S_IFIFO
            ? dr_openat(AT_FDCWD, "/proc/self/fd/\(given)", O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0)
            : -1
        descriptor = own >= 0 ? own : given
        isOwn = own >= 0
        isSocket = type == S_IFSOCK
    }

    deinit {
        if isOwn, let descriptor { close(descriptor) }
    }

    func take(_ bytes: UnsafeRawBufferPointer, interrupt: Interrupt) throws {
        if beginning.count < 1024 {
            beginning.append(contentsOf: bytes.prefix(1024 - beginning.count))
        }
        guard let descriptor else {
            guard collected.count + bytes.count <= Self.maximumCollected else {
                throw Failure(
                    .failed,
                    "a program gave more than \(ByteCount(UInt64(Self.maximumCollected))) of output"
                )
            }
            collected.append(contentsOf: bytes)
            return
        }
        var rest = bytes
        while let base = rest.baseAddress, !rest.isEmpty {
            let count =
                isSocket
                ? send(
                    descriptor, base, rest.count,
                    Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
                : write(descriptor, base, rest.count)
            if count >= 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            } else if errno == EAGAIN {
                _ = interrupt.wait(for: descriptor, events: POLLOUT)
                if interrupt.isRaised { throw CancellationError() }
            } else if errno != EINTR {
                let error = SystemError.last("write", "standard output of a program")
                throw error.failure(side: .local)
            }
        }
    }
}

/// The end of a program's standard error.
struct ErrorTail {
    private var bytes: [UInt8] = []
    private static let maximum = 64 << 10

    mutating func take(_ more: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: more.suffix(Self.maximum))
        if bytes.count > 2 * Self.maximum { bytes.removeFirst(bytes.count - Self.maximum) }
    }

    var text: String { String(decoding: bytes.suffix(Self.maximum), as: UTF8.self) }
}
