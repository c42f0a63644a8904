import Arguments
import Chain
import Testing

@testable import apus

/// Returns the action of a command line; nil if it is of another type.
func action<Body: Action>(_ line: [String], as _: Body.Type = Body.self) throws -> Body? {
    guard case .run(let action) = try Apus.command.request(line) else { return nil }
    return action as? Body
}

private let address = "/ip4/127.0.0.1/tcp/6600"

@Suite struct CommandLineTests {
    /// Each of these once crashed the process, passed unnoticed or had another effect than it names.
    @Test(
        arguments: [
            ("testnet --validators 0", "--validators"), ("testnet --validators 51", "--validators"),
            ("testnet --validators many", "--validators"), ("testnet --sentries -1", "--sentries"),
            ("testnet --reactor kqueue", "--reactor"),
            ("ping \(address) --count 0", "--count"), ("ping \(address) --count 1000000001", "--count"),
            ("ping \(address) --streams 0", "--streams"), ("ping \(address) --streams 99999", "--streams"),
            ("ping nowhere", "MULTIADDR"), ("ping \(address) --security tls", "--security"),
            ("identify \(address) --reactor iocp", "--reactor"),
            ("gossip", "--listen"), ("gossip --listen \(address) --degree 101", "--degree"),
            ("gossip --listen \(address) --degree -1", "--degree"),
            ("gossip --listen \(address) --topic x --topic x", "--topic"),
            ("perf", "--listen"), ("perf \(address)", "--upload"), ("perf \(address) --idle 0", "--idle"),
            ("perf \(address) --upload 16777216TiB", "--upload"),
            ("perf \(address) --upload 1kB", "--upload"),
            ("perf \(address) --download -1", "--download"),
            ("perf \(address) --listen \(address)", "--listen"),
            ("perf --listen \(address) --upload 1", "--upload"),
            ("perf --listen \(address) --idle 3", "--idle"),
            ("init", "--root"), ("init --root x --key-type rsa", "--key-type"),
            ("init --root x --listen somewhere", "--listen"),
            ("init --root x --rpc-listen 127.0.0.1:99999", "--rpc-listen"),
            ("init --root x --bootnode xyz@127.0.0.1:1", "--bootnode"),
            ("init --root x --owner me", "--owner"),
            ("init --root x --genesis g --chain-id y", "--chain-id"),
            ("init --root x --genesis g --owner y", "--owner"),
            ("init --root x --key k --key-type ed25519", "--key-type"),
            ("load", "--key"), ("load --key k --rate 0", "--rate"), ("load --key k --size 399", "--size"),
            ("load --key k --duration 0", "--duration"), ("load --key k --senders 1001", "--senders"),
            ("load --key k --rpc 192.0.2.1:8484", "--yes"),
            ("load --key k --rpc [2001:db8::1]:8484", "--yes"),
            ("load --key k --rpc localhost.example:8484", "--yes"),
            ("load --key k --rate 90000 --steps 3", "--steps"),
            ("config --root x --markdown", "--markdown"), ("config --json --markdown", "--json"),
            ("key new x --type rsa", "--type"), ("run", "--root"), ("config --root=", "--root"),
            ("status --rpc nowhere", "--rpc"), ("status --rpc 127.0.0.1:0", "--rpc"),
            ("status --rpc 127.0.0.1:65536", "--rpc"), ("status --rpc :8484", "--rpc"),
            ("query", "SQL"), ("query x -p y", "--parameter"), ("query x -p =y", "--parameter"),
            ("query x -p :=1", "--parameter"), ("query x -p $=1", "--parameter"),
            ("query x -p n:=1.5", "--parameter"), ("query x -p n:=9223372036854775808", "--parameter"),
            ("query x -p a=1 -p $a=2", "--parameter $a"),
            ("tx send x --key k -p a=1 -p a:=1", "--parameter $a"),
            ("tx send x", "--key"), ("tx send x --key k --nonce -1", "--nonce"),
            ("tx validator-join --key k --power 0", "--power"),
            ("tx validator-join --key k --power 9223372036854775808", "--power"),
            ("tx validator-approve x --key k", "NODE-ID"), ("tx show 00", "ID"),
        ])
    func refuses(_ line: String, _ name: String) {
        let error = #expect(throws: UsageError.self) {
            try Apus.command.request(line.split(separator: " ").map { String($0) })
        }
        let text = error.map { "\($0)" } ?? ""
        #expect(text.contains(name) && !text.contains("\n"), "\(text)")
    }

    @Test func valuesReachTheirPlaces() throws {
        let testnet = try #require(
            try action(
                [
                    "testnet", "--input", "a.csv", "--root", "b", "--validators", "5", "--sentries", "2",
                    "--reactor", "epoll", "--keep",
                ], as: TestnetCommand.self))
        #expect(testnet.input == "a.csv" && testnet.root == "b" && testnet.validators == 5)
        #expect(testnet.sentries == 2 && testnet.reactor == .epoll && testnet.keeps)

        let initialize = try #require(
            try action(
                [
                    "init", "--root", "a", "--chain-id", "b", "--key-type", "ed25519", "--listen",
                    "1.2.3.4:1", "--rpc-listen", "[::1]:2",
                ], as: InitCommand.self))
        #expect(initialize.root == "a" && initialize.chainID == "b" && initialize.genesis == nil)
        #expect(initialize.key == nil && initialize.keyType == .ed25519 && initialize.owner == nil)
        #expect(initialize.listen == ["1.2.3.4:1"] && initialize.rpcListen == ["[::1]:2"])

        let send = try #require(
            try action(
                ["tx", "send", "S", "--key", "k", "--nonce", "7", "--wait", "--rpc", "http://h:9/x"],
                as: TransactionCommand.Send.self))
        #expect(send.sql == "S" && send.sending.key == "k" && send.sending.nonce == 7 && send.sending.waits)
        #expect(send.sending.rpc.address == "http://h:9/x")

        let perf = try #require(
            try action(["perf", address, "--upload", "64KiB", "--download=2TiB"], as: PerfCommand.self))
        #expect(perf.upload == 65536 && perf.download == 2 << 40 && perf.idle == nil)

        let gossip = try #require(
            try action(
                ["gossip", "--listen", address, "--topic", "x", "--topic", "y", "--no-flood-publish"],
                as: GossipCommand.self))
        #expect(gossip.topics == ["x", "y"] && !gossip.floodPublish && gossip.degree == nil)
    }

    @Test func parametersOfStatements() throws {
        let query = try #require(
            try action(
                [
                    "query", "S", "-p", "a=1", "-p", "$b:=-9223372036854775808", "-p", "c==x=", "-p", "d=",
                    "-p", "\u{E9}=1", "-p", "e\u{301}=2",
                ], as: QueryCommand.self))
        let expected: [(String, Value)] = [
            ("$a", .text("1")), ("$b", .int8(.min)), ("$c", .text("=x=")), ("$d", .text("")),
            ("$\u{E9}", .text("1")), ("$e\u{301}", .text("2")),
        ]
        #expect(query.parameters.map { Array($0.name.utf8) } == expected.map { Array($0.0.utf8) })
        #expect(query.parameters.map(\.value) == expected.map(\.1))
    }
}
