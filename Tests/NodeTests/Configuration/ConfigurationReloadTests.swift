import Testing

@testable import Node

@Suite struct ConfigurationReloadTests {
    @Test func nothingChangesIfNothingHasChanged() {
        let reload = ConfigurationReload(from: Configuration(), to: Configuration())
        #expect(reload.configuration == Configuration())
        #expect(reload.taken.isEmpty && reload.waiting.isEmpty)
    }

    @Test func someKeysAreTakenOverAndTheOthersNamed() {
        var new = Configuration()
        new.log.level = "debug"
        new.log.format = "json"
        new.p2p.listen = ["127.0.0.1:1"]
        new.p2p.blocklist = ["10.0.0.0/8"]
        new.rpc.timeout = .milliseconds(1500)
        let reload = ConfigurationReload(from: Configuration(), to: new)
        #expect(reload.taken == ["log.level", "p2p.blocklist", "rpc.timeout"])
        #expect(reload.waiting == ["log.format", "p2p.listen"])
        var expected = Configuration()
        expected.log.level = "debug"
        expected.p2p.blocklist = ["10.0.0.0/8"]
        expected.rpc.timeout = .milliseconds(1500)
        #expect(reload.configuration == expected)
        // What waits is named again, and what has been taken over is not.
        let again = ConfigurationReload(from: reload.configuration, to: new)
        #expect(again.taken.isEmpty && again.waiting == reload.waiting)
    }

    /// A key that is taken over must have its whole value taken over, whatever its type.
    @Test func everyReloadableKeyIsTakenOver() throws {
        let lines: [(section: String, line: String)] = [
            ("log", #"level = "trace""#), ("p2p", "pex = false"),
            (
                "p2p",
                #"bootnodes = ["/dns/h/tcp/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"]"#
            ),
            ("p2p", "private = true"),
            ("p2p", #"whitelist = ["12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"]"#),
            ("p2p", #"sentries = ["12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"]"#),
            ("p2p", #"private_peers = ["12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"]"#),
            ("p2p", #"blocklist = ["10.0.0.0/8"]"#), ("p2p", "target_connections = 7"),
            ("p2p", "max_connections = 8"), ("mempool", "max_size = 2000000"),
            ("mempool", "max_transactions = 1000"), ("mempool", "max_per_sender = 10"),
            ("mempool", #"max_age = "10m""#),
            ("rpc", #"broadcast_tx_timeout = "1m1s""#), ("rpc", #"timeout = "1500ms""#),
            ("rpc", "max_req_size = 7000"), ("rpc", "max_connections = 9"),
            ("rpc", "max_connections_per_address = 3"),
        ]
        for (section, line) in lines {
            let new = try Configuration(parsing: Array("[\(section)]\n\(line)".utf8), file: "config.toml")
            let reload = ConfigurationReload(from: Configuration(), to: new)
            #expect(reload.taken == ["\(section).\(line.prefix { $0 != " " })"])
            #expect(reload.configuration == new && reload.waiting.isEmpty, "\(line)")
        }
        #expect(lines.count == Configuration.keys.count(where: \.isReloadable))
    }
}
