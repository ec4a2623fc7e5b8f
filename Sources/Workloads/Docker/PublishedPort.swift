import CLinux
import Glibc

/// A port of the machine that leads to a container.
struct PublishedPort: Sendable, Hashable, CustomStringConvertible {
    enum Kind: String, Sendable { case tcp, udp }
    /// Empty for every address.
    var address: String
    var number: UInt16
    var kind: Kind

    enum State: Sendable { case free, taken, noSuchAddress }

    var description: String { "\(address.isEmpty ? "" : "\(address):")\(number)/\(kind.rawValue)" }

    /// Tries to take the port for a moment.
    func look() -> State {
        if address.contains(":") {
            var place = sockaddr_in6()
            place.sin6_family = sa_family_t(AF_INET6)
            place.sin6_port = number.bigEndian
            guard inet_pton(AF_INET6, address, &place.sin6_addr) == 1 else { return .free }
            return look(AF_INET6, &place, MemoryLayout<sockaddr_in6>.size)
        }
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_port = number.bigEndian
        let text = address.isEmpty ? "0.0.0.0" : address
        guard inet_pton(AF_INET, text, &place.sin_addr) == 1 else { return .free }
        return look(AF_INET, &place, MemoryLayout<sockaddr_in>.size)
    }

    private func look(_ family: Int32, _ place: UnsafeRawPointer, _ size: Int) -> State {
        let type = kind == .tcp ? SOCK_STREAM : SOCK_DGRAM
        let descriptor = socket(family, Int32(type.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return .free }
        defer { close(descriptor) }
        // A connection that is closing does not keep the port from a new listener.
        var yes: Int32 = 1
        if kind == .tcp {
            setsockopt(
                descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        }
        guard bind(descriptor, place.assumingMemoryBound(to: sockaddr.self), socklen_t(size)) != 0
        else { return .free }
        switch dr_errno() {
        case EADDRINUSE: return .taken
        case EADDRNOTAVAIL: return .noSuchAddress
        default: return .free
        }
    }
}

extension ContainerDefinition {
    /// Ports of fixed number that are published when the container runs.
    var publishedPorts: [PublishedPort] {
        let mode = hostConfig["NetworkMode"].string ?? ""
        if mode == "host" || mode == "none" || mode.hasPrefix("container:") { return [] }
        let bindings = hostConfig["PortBindings"].object ?? [:]
        return bindings.sorted { $0.key < $1.key }.flatMap { port, places in
            (places.array ?? []).compactMap { place -> PublishedPort? in
                guard let number = place["HostPort"].string.flatMap({ UInt16($0) }), number > 0,
                    let kind = PublishedPort.Kind(
                        rawValue: String(port.split(separator: "/").last ?? ""))
                else { return nil }
                let address = place["HostIp"].string ?? ""
                return PublishedPort(
                    address: address == "0.0.0.0" ? "" : address, number: number, kind: kind)
            }
        }
    }
}

/// An IPv4 network in CIDR notation.
struct Subnet: Sendable, Hashable {
    var first: UInt32
    var last: UInt32

    /// Parses `172.31.5.0/24`; nil for anything else, IPv6 included.
    init?(_ text: String) {
        let parts = text.split(separator: "/")
        guard parts.count == 2, let length = UInt32(parts[1]), length <= 32 else { return nil }
        let bytes = parts[0].split(separator: ".").compactMap { UInt8($0) }
        guard bytes.count == 4 else { return nil }
        let address = bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let mask = length == 0 ? 0 : UInt32.max << (32 - length)
        first = address & mask
        last = first | ~mask
    }

    func overlaps(_ other: Subnet) -> Bool { first <= other.last && other.first <= last }
}
