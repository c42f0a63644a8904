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

let collections: [Target.Dependency] = [
    .product(name: "DequeModule", package: "swift-collections"),
    .product(name: "OrderedCollections", package: "swift-collections"),
    .product(name: "HeapModule", package: "swift-collections"),
]
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")

let package = Package(
    name: "apus",
    products: [.executable(name: "apus", targets: ["apus"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
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
                "Node", "API", "Simulation", "Execution", "LibP2P", "Reactor", "Chain", "Crypto",
                "Multiformats", "CSV", "JSON", "Arguments", "CShims", log,
            ],
            swiftSettings: settings),
    ]
        + module("Collections", [])
        + module("Multiformats", [])
        + module("Log", ["CShims"])
        + module("JSON", ["CShims", "Multiformats"])
        + module("CSV", ["CShims"])
        + module("Arguments", ["CShims"])
        + [
            .testTarget(
                name: "apusTests", dependencies: ["apus", "Arguments", "Chain", "Simulation"],
                swiftSettings: settings)
        ]
        + module("Reactor", ["CShims", "Multiformats"] + collections)
        + module("HTTP", ["CShims", "Multiformats", "Reactor"])
        + module("Crypto", ["CShims", "JSON", "Multiformats"])
        + module("LibP2P", ["Reactor", "Crypto", "JSON", "Multiformats", log] + collections)
        + module("Chain", ["Crypto", "JSON", "Multiformats"])
        + module("Storage", ["Chain", "Crypto", "Multiformats", "CShims"])
        + module("Mempool", ["Chain", "Crypto", "Multiformats"] + collections)
        + module("Execution", ["Chain", "Crypto", "Multiformats", "CShims"] + collections)
        + module(
            "Consensus", ["Chain", "Crypto", "Multiformats", "Mempool", "Storage", "Execution"] + collections)
        + module(
            "Protocols",
            ["LibP2P", "Chain", "Crypto", "JSON", "Multiformats", "Reactor", "CShims"] + collections)
        + module(
            "Node",
            [
                "Reactor", "Multiformats", "Crypto", "LibP2P", "Chain", "Storage", "Mempool", "Execution",
                "Consensus", "Protocols", "CShims", log,
            ] + collections)
        + module(
            "Simulation",
            [
                "Node", "Reactor", "LibP2P", "Protocols", "Chain", "Consensus", "Storage", "Execution",
                "Mempool",
                "Crypto", "Multiformats", log,
            ] + collections)
        + module(
            "API",
            [
                "Node", "Reactor", "Chain", "Crypto", "JSON", "Multiformats", "Storage", "Execution",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ]),
    cxxLanguageStandard: .cxx17
)
