import CLinux
import Glibc
import Model

/// Bytes that are cheap to make and to compare, with no short period.
public enum PatternBytes {
    public struct Digest: Sendable, Equatable {
        public var count = 0
        public var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        private var partial: [UInt8] = []

        public mutating func take(_ bytes: UnsafeRawBufferPointer) {
            count += bytes.count
            var start = 0
            if !partial.isEmpty {
                let missing = min(8 - partial.count, bytes.count)
                partial += bytes[..<missing]
                start = missing
                guard partial.count == 8 else { return }
                mix(partial.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
                partial = []
            }
            while start + 8 <= bytes.count {
                mix(bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self))
                start += 8
            }
            partial += bytes[start...]
        }

        private mutating func mix(_ word: UInt64) {
            hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 29
        }
    }

    /// Writes `count` bytes to a descriptor; blocking.
    public static func write(_ count: Int, to descriptor: Int32) throws -> Digest {
        var digest = Digest()
        var words = [UInt64](repeating: 0, count: 1 << 15)
        var state: UInt64 = 1
        var left = count
        while left > 0 {
            for index in words.indices {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                words[index] = state
            }
            try words.withUnsafeBytes { all in
                var rest = UnsafeRawBufferPointer(rebasing: all.prefix(left))
                digest.take(rest)
                left -= rest.count
                while !rest.isEmpty {
                    let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
                    if written < 0 { throw Failure(.failed, "write: \(errno)") }
                    rest = UnsafeRawBufferPointer(rebasing: rest[written...])
                }
            }
        }
        return digest
    }

    /// Reads a descriptor to its end; blocking.
    public static func read(from descriptor: Int32) throws -> Digest {
        var digest = Digest()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 8)
        defer { buffer.deallocate() }
        while true {
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count == 0 { return digest }
            if count < 0 { throw Failure(.failed, "read: \(errno)") }
            digest.take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}

/// Waits until a condition holds; fails after half a minute.
public func waitUntil(
    _ condition: () async throws -> Bool, within limit: Duration = .seconds(30)
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else {
            throw Failure(.failed, "a condition did not come to hold within \(limit)")
        }
        try await Task.sleep(for: .milliseconds(20))
    }
}
