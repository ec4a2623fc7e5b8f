// swift-tools-version: 6.2
import PackageDescription

// CI sets this; a newer compiler's new warning must not stop a user's build.
let warningsAreErrors = Context.environment["DR_WARNINGS_AS_ERRORS"] == "1"

let settings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .swiftLanguageMode(.v6),
        // Tests reach into modules (`@testable`) in release builds too, which is how they are built:
        // the hot loops are too slow in debug. Here and not on the command line, where it would
        // build every dependency anew.
        .unsafeFlags(["-enable-testing"]),
    ] + (warningsAreErrors ? [.treatAllWarnings(as: .error)] : [])

/// Optimising the tests' own code takes longer than it saves; what they test is optimised.
let testSettings = settings + [.unsafeFlags(["-Onone"])]

/// A test target beside the module it tests.
func tests(_ module: String, _ others: Target.Dependency...) -> Target {
    .testTarget(
        name: "\(module)Tests",
        dependencies: [.target(name: module), "TestSupport"] + (module == "Model" ? [] : ["Model"])
            + others,
        swiftSettings: testSettings)
}

let package = Package(
    name: "dr",
    products: [
        .executable(name: "dr", targets: ["dr"]),
        // For Benchmarks, which is a package of its own.
        .library(name: "Repository", targets: ["Repository", "Engine", "Model"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", exact: "1.0.2", traits: []),
        // The paths and descriptors in swift-subprocess's interface.
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
    ],
    targets: [
        // C libraries of the system; each is a module map and, where C has what Swift cannot call,
        // a header of static inline functions.
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(
            name: "CLibarchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
        .systemLibrary(
            name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(
            name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CYaml", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CLinux"),

        // Layers, lowest first. A target may import only what stands in its list.
        .target(name: "Model", swiftSettings: settings),
        .target(
            name: "Engine",
            dependencies: [
                "Model", "CCurl", "CLinux",
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        // Ours, and C: one loop compiled for several kinds of processor.
        .target(name: "CBlake3"),
        .target(
            name: "Repository",
            dependencies: [
                "Model", "Engine", "CBlake3", "CZstd", "CLinux",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
            ],
            swiftSettings: settings),
        .target(
            name: "Workloads",
            dependencies: [
                "Model", "Engine", "CLibarchive", "CSQLite", "CLinux",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: settings),
        .target(
            name: "Catalog", dependencies: ["Model", "Engine", "CSQLite"], swiftSettings: settings),
        .target(
            name: "Snapshot",
            dependencies: ["Model", "Engine", "Repository", "Workloads", "Catalog", "CLinux"],
            swiftSettings: settings),
        .target(
            name: "Restore",
            dependencies: [
                "Model", "Engine", "Repository", "Workloads", "Catalog", "CLinux",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "dr",
            dependencies: [
                "Model", "Engine", "Repository", "Workloads", "Catalog", "Snapshot", "Restore",
                "CYaml", "CLinux",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),

        // Tests mirror the sources; `TestSupport` holds the fixtures they share.
        .target(
            name: "TestSupport", dependencies: ["Model", "Engine", "Workloads", "CLinux"],
            path: "Tests/TestSupport", swiftSettings: settings),
        // A store whose calls fail on demand; beside TestSupport, which knows no repository.
        .target(
            name: "RepositorySupport", dependencies: ["Model", "Engine", "Repository"],
            path: "Tests/RepositorySupport", swiftSettings: settings),
        tests("Model"),
        tests("Engine"),
        tests(
            "Repository", "Engine", "CBlake3", "CZstd", "RepositorySupport", "CLinux",
            .product(name: "Crypto", package: "swift-crypto")),
        tests(
            "Workloads", "Engine", "CLinux", .product(name: "Crypto", package: "swift-crypto")),
        tests("Catalog", "Engine"),
        tests("Snapshot", "Engine", "Repository", "Workloads", "Catalog", "RepositorySupport"),
        tests("Restore", "Engine", "Repository", "Workloads", "Catalog", "Snapshot"),
        // Drives the real binary as its users do.
        .testTarget(
            name: "CommandTests",
            dependencies: ["dr", "Model", "Engine", "Repository", "TestSupport"],
            exclude: ["Golden"], swiftSettings: testSettings),
        // Kills it, cuts its power, fills its disks and makes its system calls fail.
        .testTarget(
            name: "FaultTests",
            dependencies: ["dr", "Model", "Engine", "Repository", "TestSupport", "CLinux"],
            swiftSettings: testSettings),
    ]
)
