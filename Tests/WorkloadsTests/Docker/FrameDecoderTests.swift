import Testing

@testable import Workloads

struct FrameDecoderTests {
    private func frame(_ stream: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let count = payload.count
        return [
            stream, 0, 0, 0, UInt8(count >> 24 & 255), UInt8(count >> 16 & 255),
            UInt8(count >> 8 & 255), UInt8(count & 255),
        ] + payload
    }

    /// However the stream is cut, the same bytes come out.
    @Test(arguments: [1, 2, 3, 7, 8, 9, 64, 100_000]) func anySlicing(_ size: Int) throws {
        let output = (0..<40_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let stream =
            frame(1, Array(output[..<33_000])) + frame(2, Array("oops".utf8)) + frame(1, [])
            + frame(1, Array(output[33_000...]))
        var decoder = FrameDecoder()
        var seen: [UInt8: [UInt8]] = [:]
        var rest = stream[...]
        while !rest.isEmpty {
            let slice = Array(rest.prefix(size))
            rest = rest.dropFirst(size)
            try slice.withUnsafeBytes { bytes in
                try decoder.take(bytes) { seen[$0.rawValue, default: []] += Array($1) }
            }
        }
        #expect(seen[1] == output)
        #expect(seen[2] == Array("oops".utf8))
        #expect(decoder.isAtFrameBorder)
    }

    @Test func aStreamThatIsCutOffIsSeen() throws {
        let whole = frame(1, [1, 2, 3])
        for count in 1..<whole.count {
            var decoder = FrameDecoder()
            try whole[..<count].withUnsafeBytes { try decoder.take($0) { _, _ in } }
            #expect(!decoder.isAtFrameBorder)
        }
    }

    @Test func bytesWithoutFramesAreRefused() {
        var decoder = FrameDecoder()
        #expect(throws: (any Error).self) {
            try Array("plain text".utf8).withUnsafeBytes { try decoder.take($0) { _, _ in } }
        }
    }
}
