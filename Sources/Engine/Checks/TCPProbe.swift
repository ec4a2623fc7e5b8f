import CLinux
import Glibc
import Model

/// Tries to open a TCP connection.
enum TCPProbe {
    /// Healthy when one of the host's addresses accepts; blocks the thread for `patience` at most,
    /// name resolution aside.
    static func connect(host: String, port: Int, patience: TimeSpan) -> HealthVerdict {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let problem = getaddrinfo(host, "\(port)", &hints, &list)
        guard problem == 0 else {
            return .unhealthy("\(host): \(String(cString: gai_strerror(problem)))")
        }
        defer { freeaddrinfo(list) }
        var reason = "\(host) has no address"
        var next = list
        while let address = next?.pointee {
            let number = attempt(address, patience)
            if number == 0 { return .healthy }
            reason = "\(host):\(port): \(String(cString: strerror(number)))"
            next = address.ai_next
        }
        return .unhealthy(reason)
    }

    /// 0, or the error number.
    private static func attempt(_ address: addrinfo, _ patience: TimeSpan) -> Int32 {
        let kind =
            address.ai_socktype | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.ai_family, kind, address.ai_protocol)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        if Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 { return 0 }
        guard errno == EINPROGRESS else { return errno }
        var poller = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        let ready = poll(&poller, 1, Int32(clamping: patience.nanoseconds / 1_000_000))
        if ready == 0 { return ETIMEDOUT }
        if ready < 0 { return errno }
        var number: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        if getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &length) != 0 { return errno }
        return number
    }
}
