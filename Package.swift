// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableExperimentalFeature("Lifetimes"),
    .treatAllWarnings(as: .error),
]

/// A library target under `Sources/` and its twin under `Tests/`.
func module(
    _ name: String, _ dependencies: [Target.Dependency], tests: [Target.Dependency] = [],
    linker: [LinkerSetting] = []
) -> [Target] {
    [
        .target(
            name: name, dependencies: dependencies, swiftSettings: settings, linkerSettings: linker),
        .testTarget(
            name: "\(name)Tests",
            dependencies: [.target(name: name), "TestSupport"] + dependencies + tests,
            swiftSettings: settings),
    ]
}

let log: Target.Dependency = .product(name: "Logging", package: "swift-log")

let package = Package(
    name: "apus",
    products: [.executable(name: "apus", targets: ["apus"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/swiftcsv/SwiftCSV", from: "0.10.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        .target(
            name: "CShims",
            linkerSettings: [
                .linkedLibrary("uring"), .linkedLibrary("sodium"), .linkedLibrary("crypto"),
                .linkedLibrary("secp256k1"), .linkedLibrary("lmdb"),
                .linkedLibrary("sqlite3"), .linkedLibrary("lz4"), .linkedLibrary("simdjson"),
                .linkedLibrary("csv"),
            ]),
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
        .executableTarget(
            name: "apus",
            dependencies: [
                "Node", "API", "Simulation", "LibP2P", "Reactor", "Chain", "Crypto", "Multiformats",
                log,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SwiftCSV", package: "SwiftCSV"),
            ],
            swiftSettings: settings),
    ]
        + module("Collections", [])
        + module("Multiformats", [])
        + module("Log", ["CShims"])
        + module("JSON", ["CShims"])
        + module("Arguments", ["CShims"])
        + module("Reactor", ["Collections", "CShims", "Multiformats"])
        + module("HTTP", ["CShims", "Multiformats", "Reactor"])
        + module("Crypto", ["CShims", "Multiformats"])
        + module("LibP2P", ["Collections", "Reactor", "Crypto", "Multiformats", log])
        + module("Chain", ["Crypto", "Multiformats"])
        + module("Storage", ["Chain", "Crypto", "Multiformats", "CShims"])
        + module("Mempool", ["Chain", "Crypto", "Multiformats"])
        + module("Execution", ["Collections", "Chain", "Crypto", "Multiformats", "CShims"])
        + module(
            "Consensus",
            ["Collections", "Chain", "Crypto", "Multiformats", "Mempool", "Storage", "Execution"])
        + module(
            "Protocols",
            ["Collections", "LibP2P", "Chain", "Crypto", "Multiformats", "Reactor", "CShims"])
        + module(
            "Node",
            [
                "Collections", "Reactor", "Multiformats", "Crypto", "LibP2P", "Chain", "Storage", "Mempool",
                "Execution",
                "Consensus", "Protocols", log, .product(name: "TOMLKit", package: "TOMLKit"),
            ])
        + module(
            "Simulation",
            [
                "Node", "Reactor", "LibP2P", "Protocols", "Chain", "Consensus", "Storage", "Execution",
                "Mempool",
                "Crypto", "Multiformats", log,
            ])
        + module(
            "API",
            [
                "Node", "Chain", "Crypto", "Multiformats", "Storage", "Execution",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ]),
    cxxLanguageStandard: .cxx17
)
