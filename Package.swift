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

let package = Package(
    name: "apus",
    products: [
        .executable(name: "apus", targets: ["apus"]),
        .executable(name: "apus-sim", targets: ["apus-sim"]),
    ],
    targets: [
        .target(
            name: "CShims",
            linkerSettings: [
                .linkedLibrary("uring"), .linkedLibrary("sodium"), .linkedLibrary("crypto"),
                .linkedLibrary("secp256k1"), .linkedLibrary("sqlite3"), .linkedLibrary("lz4"),
                .linkedLibrary("simdjson"), .linkedLibrary("csv"),
            ]),
        .target(
            name: "TestSupport", dependencies: ["Bytes", "Chain", "Collections", "Crypto", "Reactor"],
            path: "Tests/TestSupport",
            swiftSettings: settings),
        .executableTarget(
            name: "apus",
            dependencies: [
                "API", "Arguments", "Bytes", "CSV", "CShims", "Chain", "Crypto", "Execution", "JSON",
                "LibP2P", "Log", "Metrics", "Multiformats", "Node", "Peers", "Reactor", "ServiceManager",
                "Symbols",
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "apus-sim",
            dependencies: ["Simulation", "VirtualIO", "Node", "Reactor", "Arguments"],
            swiftSettings: settings),
    ]
        + module("Bytes", [])
        + module("Collections", [])
        + module("Multiformats", ["Bytes"], tests: ["Collections"])
        + module("Metrics", ["Bytes", "Collections"])
        + module("Log", ["CShims"], tests: ["Collections"])
        + module("ServiceManager", ["Bytes"])
        + module("Symbols", ["CShims", "Bytes"])
        + module("JSON", ["CShims", "Bytes", "Multiformats"], tests: ["Collections"])
        + module("CSV", ["CShims"], tests: ["Collections"])
        + module("Arguments", ["CShims", "Bytes", "Log", "JSON"])
        + module(
            "Reactor", ["CShims", "Bytes", "Collections", "Metrics", "Multiformats"],
            tests: ["Symbols", "VirtualIO"])
        + module("HTTP", ["CShims", "Bytes", "Metrics", "Reactor"], tests: ["Collections", "VirtualIO"])
        + module("Crypto", ["CShims", "Bytes", "Multiformats", "JSON"], tests: ["Collections"])
        + module(
            "LibP2P",
            ["Bytes", "Collections", "Metrics", "Multiformats", "Log", "JSON", "Reactor", "Crypto"],
            tests: ["VirtualIO"])
        + module("Chain", ["Bytes", "Multiformats", "JSON", "Crypto"], tests: ["Collections"])
        + module(
            "Storage", ["CShims", "Bytes", "Metrics", "Crypto", "Chain"], tests: ["Collections", "VirtualIO"])
        + module("VirtualIO", ["Bytes", "Collections", "Reactor", "Crypto", "Storage"])
        + module("Mempool", ["Bytes", "Collections", "Multiformats", "Reactor", "Crypto", "Chain"])
        + module("Execution", ["CShims", "Bytes", "Collections", "Crypto", "Chain"])
        + module(
            "Consensus",
            ["Bytes", "Collections", "Multiformats", "Reactor", "Crypto", "Chain", "Execution"])
        + module(
            "Protocols",
            [
                "CShims", "Bytes", "Collections", "Multiformats", "JSON", "Reactor", "Crypto", "LibP2P",
                "Chain",
            ], tests: ["VirtualIO"])
        + module(
            "Peers",
            [
                "Bytes", "Collections", "Metrics", "Multiformats", "Log", "Reactor", "Crypto", "LibP2P",
                "Chain",
                "Protocols",
            ])
        + module(
            "Node",
            [
                "CShims", "Bytes", "Collections", "Multiformats", "Log", "Metrics", "Reactor", "Crypto",
                "LibP2P",
                "Chain", "Storage", "Mempool", "Execution", "Consensus", "Protocols", "Peers",
            ], tests: ["VirtualIO"])
        + module(
            "Simulation",
            [
                "CShims", "Bytes", "Collections", "Multiformats", "Reactor", "Crypto", "LibP2P", "Chain",
                "Storage", "Execution", "Consensus", "Protocols", "Node", "VirtualIO",
            ])
        + module(
            "API",
            [
                "Bytes", "Collections", "Metrics", "Multiformats", "JSON", "Reactor", "HTTP", "Crypto",
                "Chain",
                "Storage", "Execution", "Node",
            ], tests: ["VirtualIO"])
        + [
            .testTarget(
                name: "apusTests",
                dependencies: [
                    "apus", "Arguments", "Bytes", "Chain", "Crypto", "Metrics", "Node", "Symbols",
                    "TestSupport",
                ],
                swiftSettings: settings),
            .testTarget(
                name: "apus-simTests", dependencies: ["apus-sim", "Arguments"], swiftSettings: settings),
        ],
    cxxLanguageStandard: .cxx17
)
