// swift-tools-version: 6.2
import PackageDescription

// Inner loops alone: `make bench-loops`. A package of its own, so that nobody who builds dr needs it.
let package = Package(
    name: "dr-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "dr", path: ".."),
        .package(url: "https://github.com/ordo-one/benchmark", exact: "1.38.1", traits: []),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
    ],
    targets: [
        .executableTarget(
            name: "InnerLoops",
            dependencies: [
                .product(name: "Benchmark", package: "benchmark"),
                .product(name: "Repository", package: "dr"),
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            path: "InnerLoops",
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")])
    ]
)
