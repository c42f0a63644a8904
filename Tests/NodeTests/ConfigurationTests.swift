import Testing

@testable import Node

@Suite struct ConfigurationTests {
    @Test func sampleParsesToDefaults() throws {
        let defaults = Configuration()
        #expect(try Configuration(parsing: defaults.fileText, file: "config.toml") == defaults)
        #expect(try Configuration(parsing: "", file: "config.toml") == defaults)
    }

    @Test func changedValuesSurviveTheFile() throws {
        var configuration = Configuration()
        configuration.p2p.bootnodes = ["aa#ed25519@host:1", "with \"quotes\" and \\ and \u{1}"]
        configuration.p2p.pex = false
        configuration.consensus.proposeTimeout = .milliseconds(1500)
        configuration.mempool.maxSize = 2_000_000
        #expect(
            try Configuration(parsing: configuration.fileText, file: "config.toml") == configuration)
    }

    @Test(arguments: [
        ("[p2p", "config.toml:1:"),
        ("[p2p]\nlisten = 1", "config.toml: p2p.listen is not a string"),
        ("[p2p]\nlisen = \"\"", "config.toml: unknown key p2p.lisen"),
        ("[other]\na = 1", "config.toml: unknown key other.a"),
        ("top = 1", "config.toml: unknown key top"),
        ("[p2p]\nbootnodes = [1]", "config.toml: p2p.bootnodes has a value"),
        ("[p2p]\ntarget_connections = 0", "config.toml: p2p.target_connections is 0, not within"),
        ("[p2p]\npex = \"yes\"", "config.toml: p2p.pex is not true or false"),
        (
            "[consensus]\npropose_timeout = \"fast\"",
            "config.toml: consensus.propose_timeout is not a duration"
        ),
        (
            "[consensus]\npropose_timeout = \"99999999999h\"",
            "config.toml: consensus.propose_timeout is not a duration"
        ),
        ("[reactor]\ndriver = \"kqueue\"", "config.toml: reactor.driver is \"kqueue\", not one of auto"),
    ])
    func badFilesAreOneLine(_ text: String, _ start: String) {
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration(parsing: text, file: "config.toml")
        }
        let line = error.map(String.init(describing:)) ?? ""
        #expect(line.hasPrefix(start), "\(line)")
        #expect(!line.contains("\n"))
    }
}
