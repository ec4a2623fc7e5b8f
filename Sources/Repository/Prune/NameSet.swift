/// Chunks by 48 bits of their names, in four bytes and a little each.
///
/// Two chunks may share them: whoever asks must be able to live with a "yes" too many, of which there
/// are about *n* in 2^48 for *n* names. Never with a "no" too many.
struct NameSet: Sendable {
    /// By the first 16 bits: the next 32, the first `sorted` of them in order.
    private var buckets: [[UInt32]] = []
    private var sorted: [UInt32] = []
    private(set) var count = 0
    /// Names of a bucket that may stand behind the ordered ones.
    private static let tail = 32

    init() {}

    /// - Parameter name: The first 64 bits of a chunk's name.
    func contains(_ name: UInt64) -> Bool {
        guard !buckets.isEmpty else { return false }
        let (bucket, value) = Self.place(name)
        return Self.find(value, in: buckets[bucket], sorted: Int(sorted[bucket]))
    }

    /// Adds a name; false when it is there already.
    @discardableResult
    mutating func insert(_ name: UInt64) -> Bool {
        if buckets.isEmpty {
            buckets = Array(repeating: [], count: 1 << 16)
            sorted = Array(repeating: 0, count: 1 << 16)
        }
        let (bucket, value) = Self.place(name)
        if Self.find(value, in: buckets[bucket], sorted: Int(sorted[bucket])) { return false }
        buckets[bucket].append(value)
        count += 1
        if buckets[bucket].count - Int(sorted[bucket]) > Self.tail {
            buckets[bucket].sort()
            sorted[bucket] = UInt32(buckets[bucket].count)
        }
        return true
    }

    private static func place(_ name: UInt64) -> (bucket: Int, value: UInt32) {
        (Int(name >> 48), UInt32(truncatingIfNeeded: name >> 16))
    }

    private static func find(_ value: UInt32, in bucket: [UInt32], sorted: Int) -> Bool {
        bucket.withUnsafeBufferPointer { bucket in
            var low = 0
            var high = sorted
            while low < high {
                let middle = (low &+ high) / 2
                if bucket[middle] < value { low = middle &+ 1 } else { high = middle }
            }
            if low < sorted, bucket[low] == value { return true }
            var position = sorted
            while position < bucket.count {
                if bucket[position] == value { return true }
                position &+= 1
            }
            return false
        }
    }
}
