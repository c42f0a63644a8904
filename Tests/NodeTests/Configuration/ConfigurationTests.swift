import Testing

@testable import Node

@Suite struct ConfigurationTests {
    @Test func sampleParsesToDefaults() throws {
        let defaults = Configuration()
        #expect(try Configuration(parsing: Array(defaults.fileText.utf8), file: "config.toml") == defaults)
        #expect(try Configuration(parsing: [], file: "config.toml") == defaults)
    }

    @Test func changedValuesSurviveTheFile() throws {
        var configuration = Configuration()
        let peer = "/dns/host/tcp/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
        configuration.p2p.bootnodes = [peer, peer]
        configuration.consensus.promoteLeader = "with \"quotes\" and \\ and \u{1}"
        configuration.p2p.pex = false
        configuration.consensus.proposeTimeout = .milliseconds(1500)
        configuration.mempool.maxSize = 2_000_000
        #expect(
            try Configuration(parsing: Array(configuration.fileText.utf8), file: "config.toml")
                == configuration)
    }

    /// Returns the error for a text, which must be one line.
    private func refusal(of text: some Sequence<UInt8>) -> String {
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration(parsing: Array(text), file: "config.toml")
        }
        let line = error.map(String.init(describing:)) ?? ""
        #expect(!line.unicodeScalars.contains { $0.properties.generalCategory == .control }, "\(line)")
        return line
    }

    @Test(arguments: [
        ("[p2p", "config.toml:1:5: "),
        ("[p2p]\nlisten = 1", "config.toml:2:10: p2p.listen is neither a string nor an array of strings"),
        ("[p2p]\nlisen = \"\"", "config.toml:2:1: unknown key p2p.lisen"),
        ("[other]\na = 1", "config.toml:2:1: unknown key other.a"),
        ("# first\ntop = 1", "config.toml:2:1: unknown key top"),
        ("[p2p]\n\"é\u{1B}[2J\\n\" = 1", "config.toml:2:"),
        ("[p2p]\nbootnodes = [1]", "config.toml:2:13: p2p.bootnodes has a value"),
        ("[p2p]\nlisten = []", "config.toml:2:10: p2p.listen is empty"),
        (
            "[rpc]\n\nlisten = \"::1:6600\"",
            "config.toml:3:10: rpc.listen has \"::1:6600\", which has an IPv6 address without brackets"
        ),
        (
            "[p2p]\nlisten = [\"0.0.0.0:1\", \"::1:6600\"]",
            "config.toml:2:10: p2p.listen has \"::1:6600\", which has an IPv6 address without brackets"
        ),
        ("[p2p]\nlisten = \"x\"", "config.toml:2:10: p2p.listen has \"x\", which is not host:port"),
        ("[p2p]\nlisten = \":1\"", "config.toml:2:10: p2p.listen has \":1\", which has no host"),
        (
            "[p2p]\nlisten = \"1.2.3:1\"",
            "config.toml:2:10: p2p.listen has \"1.2.3:1\", which has a host that"
        ),
        ("[p2p]\nlisten = \"a b:1\"", "config.toml:2:10: p2p.listen has \"a b:1\", which has a host that"),
        ("[p2p]\nlisten = \"a:+1\"", "config.toml:2:10: p2p.listen has \"a:+1\", which is not host:port"),
        ("[p2p]\nlisten = [\"a:1\", \"a:1\"]", "config.toml:2:10: p2p.listen has \"a:1\" twice"),
        (
            "[p2p]\nexternal_address = \"0.0.0.0:6600\"",
            "config.toml:2:20: p2p.external_address is \"0.0.0.0:6600\", which is no address of a host"
        ),
        (
            "[p2p]\nexternal_address = \"[::]:6600\"",
            "config.toml:2:20: p2p.external_address is \"[::]:6600\", which is no address of a host"
        ),
        (
            "[p2p]\nexternal_address = \"example.org:0\"",
            "config.toml:2:20: p2p.external_address is \"example.org:0\", which has port 0"
        ),
        ("[p2p]\nsecurity = []", "config.toml:2:12: p2p.security is empty"),
        ("[p2p]\nbootnodes = [\"x\"]", "config.toml:2:13: p2p.bootnodes has \"x\", which is no peer"),
        ("[p2p]\nwhitelist = [\"x\"]", "config.toml:2:13: p2p.whitelist has \"x\", which is no peer"),
        ("[p2p]\nblocklist = [\"x\"]", "config.toml:2:13: p2p.blocklist has \"x\", which is no node ID"),
        ("[p2p]\nlisten.port = 1", "config.toml:2:1: p2p.listen has a value"),
        ("[p2p]\nlisten = 2000-01-01", "config.toml:2:10: p2p.listen has a value"),
        ("[queries]\nprocesses = 1", "config.toml:2:13: queries.processes is 1, not within 2…64"),
        (
            "[execution]\ncache_size = 0",
            "config.toml:2:14: execution.cache_size is 0, not within 1000000…64000000000"
        ),
        ("[p2p]\ntarget_connections = 0", "config.toml:2:22: p2p.target_connections is 0, not within"),
        ("[p2p]\ntarget_connections = 1.0", "config.toml:2:22: p2p.target_connections has a value"),
        ("[p2p]\npex = \"yes\"", "config.toml:2:7: p2p.pex is not true or false"),
        (
            "[consensus]\npropose_timeout = \"fast\"",
            "config.toml:2:19: consensus.propose_timeout is not a duration"
        ),
        (
            "[consensus]\npropose_timeout = \"99999999999h\"",
            "config.toml:2:19: consensus.propose_timeout is not a duration"
        ),
        ("[rpc]\nmax_req_size = 5", "config.toml:2:16: rpc.max_req_size is 5, not 0 or within 1000…"),
        (
            "[reactor]\ndriver = \"kqueue\"",
            "config.toml:2:10: reactor.driver is \"kqueue\", not one of auto"
        ),
        (
            "[reactor]\ndriver = \"auto\\u0000\"",
            "config.toml:2:10: reactor.driver is \"auto\\u0000\", not one"
        ),
    ])
    func badFilesAreOneLine(_ text: String, _ start: String) {
        let line = refusal(of: text.utf8)
        #expect(line.hasPrefix(start), "\(line)")
    }

    @Test func severalAddressesAreListenedOn() throws {
        let text = "[p2p]\nlisten = [\"0.0.0.0:6600\", \"[::]:6600\"]\n[rpc]\nlisten = \"localhost:8484\"\n"
        let configuration = try Configuration(parsing: Array(text.utf8), file: "config.toml")
        #expect(configuration.p2p.listen == ["0.0.0.0:6600", "[::]:6600"])
        #expect(configuration.rpc.listen == ["localhost:8484"])
        #expect(configuration.fileText.contains("listen = [\"0.0.0.0:6600\", \"[::]:6600\"]\n"))
        #expect(configuration.fileText.contains("listen = \"localhost:8484\"\n"))
    }

    @Test(arguments: [
        ("[p2p]\npex = true\npex = false\n", 3),
        ("[p2p]\n[log]\n[p2p]\npex = true\n", 3),
        ("[p2p]\npex = true\n\"pex\" = false\n", 3),
        ("p2p.pex = true\n[p2p]\nlisten = \"\"\n", 2),
    ])
    func keysTwiceAreRefused(_ text: String, _ line: Int) {
        let refusal = refusal(of: text.utf8)
        #expect(refusal.hasPrefix("config.toml:\(line):") && refusal.contains("redefine"), "\(refusal)")
    }

    @Test(arguments: [
        "9223372036854775808", "-9223372036854775809", "0xFFFFFFFFFFFFFFFF", "99999999999999999999999",
    ])
    func integersBeyondTheirTypeAreRefused(_ number: String) {
        let line = refusal(of: "[mempool]\nmax_size = \(number)\n".utf8)
        #expect(line.hasPrefix("config.toml:2:") && line.contains("64 bits"), "\(line)")
    }

    @Test(
        arguments: [[0xFF], [0xC3], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80]] as [[UInt8]])
    func bytesThatAreNoUTF8AreRefused(_ bytes: [UInt8]) {
        let line = refusal(of: Array("[log]\nlevel = \"".utf8) + bytes + Array("\"\n".utf8))
        #expect(line.hasPrefix("config.toml:2:"), "\(line)")
    }

    /// Two keys that look the same but differ in bytes are different keys.
    @Test func keysAreBytes() {
        let line = refusal(of: "[p2p]\n\"\u{E9}\" = 1\n\"e\u{301}\" = 2\n".utf8)
        #expect(line.utf8.elementsEqual("config.toml:3:1: unknown key p2p.e\u{301}".utf8), "\(line)")
    }

    /// Nesting this deep once crashed the process.
    @Test(arguments: [
        ("", "a.", 500_000, "a = 1"), ("[", "a . ", 250_000, "a]"), ("a = { ", "b.", 500_000, "b = 1 }"),
        ("", "\"=\".", 200_000, "a = 1"), ("x = \"\"\"\n\\\"\"\"\"\"\n", "a.", 500_000, "a = 1"),
        ("a = ", "[", 500_000, ""), ("a = ", "{ a = ", 150_000, ""),
    ])
    func depthIsBounded(_ start: String, _ level: String, _ depth: Int, _ end: String) {
        let text = start + String(repeating: level, count: depth) + end
        let line = refusal(of: text.utf8)
        #expect(line.contains("32"), "\(line.prefix(300))")
    }

    @Test func dotsOutsideKeysAreNoDepth() throws {
        let dots = String(repeating: ".", count: 1000)
        let text = """
            # \(dots)
            [p2p] # \(dots)
            external_address = ''
            blocklist = ["1.1.1.1", \(Array(repeating: "'1.2.3.4'", count: 100).joined(separator: ", "))]
            [consensus]
            promote_leader = "\(dots)\\"\(dots)"
            """
        let configuration = try Configuration(parsing: Array(text.utf8), file: "config.toml")
        #expect(configuration.p2p.blocklist.count == 101)
    }
}
