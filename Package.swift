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
    products: [.executable(name: "apus", targets: ["apus"])],
    targets: [
        .target(
            name: "CShims",
            linkerSettings: [
                .linkedLibrary("uring"), .linkedLibrary("sodium"), .linkedLibrary("crypto"),
                .linkedLibrary("secp256k1"), .linkedLibrary("lmdb"),
                .linkedLibrary("sqlite3"), .linkedLibrary("lz4"), .linkedLibrary("simdjson"),
                .linkedLibrary("csv"),
            ]),
        .target(
            name: "TestSupport", dependencies: ["Multiformats"], path: "Tests/TestSupport",
            swiftSettings: settings),
        .executableTarget(
            name: "apus",
            dependencies: [
                "Node", "API", "Simulation", "Execution", "LibP2P", "Reactor", "Chain", "Crypto",
                "Multiformats", "Arguments", "CShims", "CSV", "JSON", "Log",
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
        + module("Reactor", ["CShims", "Multiformats", "Collections"])
        + module("HTTP", ["CShims", "Multiformats", "Reactor"])
        + module("Crypto", ["CShims", "JSON", "Multiformats"])
        + module("LibP2P", ["Reactor", "Crypto", "JSON", "Multiformats", "Log", "Collections"])
        + module("Chain", ["Crypto", "JSON", "Multiformats"])
        + module("Storage", ["Chain", "Crypto", "Multiformats", "CShims"])
        + module("Mempool", ["Chain", "Crypto", "Multiformats"])
        + module("Execution", ["Chain", "Crypto", "Multiformats", "CShims", "Collections"])
        + module(
            "Consensus",
            ["Chain", "Crypto", "Multiformats", "Mempool", "Storage", "Execution", "Collections"])
        + module(
            "Protocols",
            ["LibP2P", "Chain", "Crypto", "JSON", "Multiformats", "Reactor", "CShims", "Collections"])
        + module(
            "Node",
            [
                "Reactor", "Multiformats", "Crypto", "LibP2P", "Chain", "Storage", "Mempool", "Execution",
                "Consensus", "Protocols", "Log", "CShims",
                "Collections",
            ])
        + module(
            "Simulation",
            [
                "Node", "Reactor", "LibP2P", "Protocols", "Chain", "Consensus", "Storage", "Execution",
                "Mempool",
                "Crypto", "Multiformats",
                "Collections", "CShims",
            ])
        + module(
            "API",
            [
                "Node", "Reactor", "HTTP", "Chain", "Crypto", "JSON", "Multiformats", "Storage", "Execution",
                "Collections",
            ]),
    cxxLanguageStandard: .cxx17
)
