import Benchmark
import Crypto
import Engine
import FoundationEssentials
import Model
import Repository

/// Bytes that zstd can do something with, and that are the same in every run.
private func text(_ count: Int) -> [UInt8] {
    var state: UInt64 = 1
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 64)
    let words = (0..<4096).map { "word\($0 &* 2_654_435_761 % 100_003) " }
    while bytes.count < count {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes.append(contentsOf: words[Int(state >> 52)].utf8)
    }
    return Array(bytes.prefix(count))
}

/// Writes `bytes` as one content, off the cooperative threads: the harness holds one of them.
private func write(_ bytes: [UInt8], to repository: BackupRepository, _ index: MemoryChunkIndex)
    async throws -> ContentReference
{
    try await BlockingPool.shared.run {
        let session = repository.makeWriteSession(index: index)
        defer { session.close() }
        let writer = session.makeContentWriter()
        writer.begin()
        try bytes.withUnsafeBytes { try writer.append($0) }
        try writer.end()
        try writer.drain()
        let contents = try writer.takeFinished()
        try session.flush()
        return contents[0]
    }
}

let benchmarks: @Sendable () -> Void = {
    let size = 64 << 20
    let bytes = text(size)
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock, .cpuTotal, .throughput, .peakMemoryResident, .mallocCountTotal],
        warmupIterations: 1, maxDuration: .seconds(8), maxIterations: 20)

    Benchmark("cut 64 MiB") { benchmark in
        let cutter = ContentCutter(
            table: GearTable(secret: SymmetricKey(data: [UInt8](repeating: 7, count: 32))))
        for _ in benchmark.scaledIterations {
            bytes.withUnsafeBytes { all in
                var start = 0
                while start < all.count {
                    start += cutter.cut(UnsafeRawBufferPointer(rebasing: all[start...]))
                }
                blackHole(start)
            }
        }
    }

    Benchmark("store 64 MiB: cut, name, compress, seal, verify") { benchmark in
        for _ in benchmark.scaledIterations {
            let repository = try await BackupRepository.create(
                in: MemoryStore(), credential: .key([UInt8](repeating: 1, count: 32)),
                label: "benchmark")
            benchmark.startMeasurement()
            blackHole(try await write(bytes, to: repository, MemoryChunkIndex()))
            benchmark.stopMeasurement()
        }
    }

    Benchmark("store 64 MiB again: cut, name, look up") { benchmark in
        let repository = try await BackupRepository.create(
            in: MemoryStore(), credential: .key([UInt8](repeating: 1, count: 32)),
            label: "benchmark")
        let index = MemoryChunkIndex()
        _ = try await write(bytes, to: repository, index)
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations {
            blackHole(try await write(bytes, to: repository, index))
        }
        benchmark.stopMeasurement()
    }

    Benchmark("read 64 MiB: open, decompress, verify") { benchmark in
        let repository = try await BackupRepository.create(
            in: MemoryStore(), credential: .key([UInt8](repeating: 1, count: 32)),
            label: "benchmark")
        let index = MemoryChunkIndex()
        let content = try await write(bytes, to: repository, index)
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations {
            let count = try await BlockingPool.shared.run {
                try repository.makeReader(index: index).bytes(content, limit: 1 << 30).count
            }
            blackHole(count)
        }
        benchmark.stopMeasurement()
    }
}
