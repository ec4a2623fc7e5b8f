import Model
import TestSupport
import Testing

@testable import Workloads

/// The small languages within tar archives.
@Suite struct TarTextTests {
    @Test("Times come back to the nanosecond, before 1970 too")
    func times() {
        var random = SeededRandom.announced()
        var times = [0, 1, -1, 999_999_999, -999_999_999, 1_000_000_000, -1_000_000_000]
            .map { Timestamp(nanoseconds: $0) }
        for _ in 0..<2000 {
            let scale = Int64(1) << Int64.random(in: 0...62, using: &random)
            times.append(
                Timestamp(nanoseconds: Int64.random(in: -scale...scale, using: &random)))
        }
        for time in times {
            let text = TarNumber.text(of: time)
            #expect(TarNumber.time(Array(text.utf8)) == time, "\(text)")
        }
        #expect(TarNumber.text(of: Timestamp(nanoseconds: -250_000_000)) == "-0.25")
        #expect(TarNumber.text(of: Timestamp(nanoseconds: -4_750_000_000)) == "-4.75")
        for text in ["", "-", "1.2.3", "0x1", "1e5", " 1", "1 ", "99999999999999999999", "+1"] {
            #expect(TarNumber.time(Array(text.utf8)) == nil, "\(text)")
        }
    }

    @Test("Numbers of headers are read as tar's many dialects write them")
    func numbers() {
        func parse(_ bytes: [UInt8]) -> Int64? { TarNumber.parse(bytes) }
        #expect(parse(Array("0000644\0".utf8)) == 0o644)
        #expect(parse(Array("   644 \0".utf8)) == 0o644)
        #expect(parse(Array("        ".utf8)) == 0)
        #expect(parse([0x80, 0, 0, 0, 1, 0]) == 256)
        #expect(parse([0xFF, 0xFF, 0xFF, 0xFE]) == -2)
        #expect(parse([0x80] + Array(repeating: 0xFF, count: 11)) == nil)
        #expect(parse(Array("0000648\0".utf8)) == nil)
        #expect(parse(Array("12 34\0".utf8)) == nil)
        #expect(parse(Array("777777777777".utf8)) == 0o777_777_777_777)
        #expect(parse(Array(repeating: UInt8(ascii: "7"), count: 40)) == nil)
    }

    @Test("ACLs survive the way through their text")
    func accessControl() {
        var random = SeededRandom.announced()
        for _ in 0..<500 {
            var value: [UInt8] = [2, 0, 0, 0]
            func add(_ tag: UInt8, _ number: UInt32) {
                value += [tag, 0, UInt8.random(in: 0...7, using: &random), 0]
                value += (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * UInt32($0))) }
            }
            func numbers() -> [UInt32] {
                Set(
                    (0..<Int.random(in: 0...3, using: &random)).map { _ in
                        UInt32.random(in: 0..<UInt32.max, using: &random)
                    }
                ).sorted()
            }
            add(1, .max)
            for number in numbers() { add(2, number) }
            add(4, .max)
            for number in numbers() { add(8, number) }
            add(16, .max)
            add(32, .max)
            let text = AccessControlText.text(of: value)
            #expect(text.flatMap { AccessControlText.value(of: $0) } == value)
        }
        func value(_ text: String) -> [UInt8]? { AccessControlText.value(of: Array(text.utf8)) }
        let plain = value("user::rw-,group::r--,other::---")
        #expect(plain?.count == 4 + 3 * 8)
        #expect(value("u::rw-\ng::r--\no::---\n") == plain)
        #expect(value("user::rw-,group::r--,other:---") == plain)
        #expect(
            value("user::rw-,user:www-data:r--:33,group::r--,mask::r--,other::---")
                == value("user::rw-,user:33:r--,group::r--,mask::r--,other::---"))
        #expect(value("user::rw-,user:www-data:r--,group::r--,mask::r--,other::---") == nil)
        #expect(value("") == nil && value("nonsense") == nil && value("user::rwq") == nil)
        #expect(AccessControlText.text(of: [2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]) == nil)
        #expect(AccessControlText.text(of: [1, 0, 0, 0]) == nil)
    }

    @Test("Records hold any bytes, and count their own lengths")
    func records() throws {
        var random = SeededRandom.announced()
        for _ in 0..<300 {
            var records = PaxRecords()
            for number in 0..<Int.random(in: 1...5, using: &random) {
                let value = random.bytes(Int.random(in: 0...1200, using: &random))
                records.add("key\(number)", value)
            }
            let read = try PaxRecords(records.encoded() + Array(repeating: 0, count: 7))
            #expect(read.values.map(\.value) == records.values.map(\.value))
            #expect(read.values.map(\.key) == records.values.map(\.key))
        }
        let odd = Array("user.a=b%c".utf8)
        #expect(PaxAttributeName.encode(odd) == Array("user.a%3Db%25c".utf8))
        #expect(PaxAttributeName.decode(PaxAttributeName.encode(odd)) == odd)
        #expect(PaxAttributeName.decode(Array("user.100%".utf8)) == Array("user.100%".utf8))
    }
}
