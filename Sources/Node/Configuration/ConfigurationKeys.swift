import Bytes
import Chain
import Multiformats

/// A key of `config.toml`: its section, name, meaning, and the property that it sets.
public struct ConfigurationKey: Sendable {
    /// The TOML table, such as `p2p`.
    public let section: String
    /// The key within the table.
    public let name: String
    /// The meaning, in one sentence.
    public let summary: String
    /// Whether a running node takes over a new value when it reloads its configuration.
    public private(set) var isReloadable = false
    /// Returns its value in a configuration.
    public let read: @Sendable (Configuration) -> ConfigurationValue
    let write: @Sendable (inout Configuration, ConfigurationValue) -> String?

    /// `section.key`.
    public var path: String { "\(section).\(name)" }

    /// The same key, for a value that a running node takes over.
    fileprivate var reloadable: ConfigurationKey {
        var key = self
        key.isReloadable = true
        return key
    }

    /// Returns whether a file names this key. Compares bytes.
    func isNamed(_ section: String, _ name: String) -> Bool {
        self.section.utf8.elementsEqual(section.utf8) && self.name.utf8.elementsEqual(name.utf8)
    }
}

/// A value as written in `config.toml`.
public enum ConfigurationValue: Sendable, Equatable {
    case text(String)
    case list([String])
    case flag(Bool)
    case number(Int)

    /// The TOML literal.
    public var literal: String {
        switch self {
        case .text(let text): Self.quote(text)
        case .list(let list): "[" + list.map(Self.quote).joined(separator: ", ") + "]"
        case .flag(let flag): flag ? "true" : "false"
        case .number(let number): String(number)
        }
    }

    /// Returns a TOML basic string, with quotes, backslashes and control characters escaped.
    private static func quote(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { out += "\\" }
            out += escapingControl(scalar)
        }
        return out + "\""
    }

    /// Returns the text as one line, with control characters escaped as in TOML.
    static func line(_ text: String) -> String { text.unicodeScalars.map(escapingControl).joined() }

    private static func escapingControl(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": return "\\n"
        case "\t": return "\\t"
        case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
            let hex = String(scalar.value, radix: 16, uppercase: true)
            return "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
        default: return String(scalar)
        }
    }
}

/// Returns nil for a valid text, or a reason that reads on after "which".
private typealias Check = @Sendable (String) -> String?

private typealias Property<Value> = any WritableKeyPath<Configuration, Value> & Sendable

extension ConfigurationKey {
    fileprivate init(
        _ path: (String, String), _ property: Property<String>, _ summary: String,
        oneOf choices: [String] = [], check: @escaping Check = { _ in nil }
    ) {
        (section, name) = path
        self.summary = summary
        read = { .text($0[keyPath: property]) }
        write = { configuration, value in
            guard case .text(let text) = value else { return "is not a string" }
            guard choices.isEmpty || choices.contains(text) else {
                return "is \"\(text)\", not one of \(choices.joined(separator: ", "))"
            }
            if let reason = check(text) { return "is \"\(text)\", which \(reason)" }
            configuration[keyPath: property] = text
            return nil
        }
    }

    fileprivate init(
        _ path: (String, String), _ property: Property<[String]>, _ summary: String,
        oneOf choices: [String] = [], mayBeEmpty: Bool = true, check: @escaping Check = { _ in nil }
    ) {
        (section, name) = path
        self.summary = summary
        read = { .list($0[keyPath: property]) }
        write = { configuration, value in
            guard case .list(let list) = value else { return "is not an array of strings" }
            guard mayBeEmpty || !list.isEmpty else { return "is empty" }
            for text in list {
                if let reason = check(text) { return "has \"\(text)\", which \(reason)" }
            }
            if !choices.isEmpty, let wrong = list.first(where: { !choices.contains($0) }) {
                return "has \"\(wrong)\", not one of \(choices.joined(separator: ", "))"
            }
            configuration[keyPath: property] = list
            return nil
        }
    }

    /// Creates a key for addresses to listen on: a string for one, or an array.
    fileprivate init(listen path: (String, String), _ property: Property<[String]>, _ summary: String) {
        (section, name) = path
        self.summary = summary
        read = { configuration in
            let list = configuration[keyPath: property]
            return list.count == 1 ? .text(list[0]) : .list(list)
        }
        write = { configuration, value in
            let list: [String]
            switch value {
            case .text(let text): list = [text]
            case .list(let several): list = several
            default: return "is neither a string nor an array of strings"
            }
            guard !list.isEmpty else { return "is empty" }
            for (index, text) in list.enumerated() {
                if let reason = AddressCheck.listened(text) { return "has \"\(text)\", which \(reason)" }
                if list[..<index].contains(where: { $0.utf8.elementsEqual(text.utf8) }) {
                    return "has \"\(text)\" twice"
                }
            }
            configuration[keyPath: property] = list
            return nil
        }
    }

    fileprivate init(_ path: (String, String), _ property: Property<Bool>, _ summary: String) {
        (section, name) = path
        self.summary = summary
        read = { .flag($0[keyPath: property]) }
        write = { configuration, value in
            guard case .flag(let flag) = value else { return "is not true or false" }
            configuration[keyPath: property] = flag
            return nil
        }
    }

    fileprivate init(
        _ path: (String, String), _ property: Property<Int>, _ summary: String, in range: ClosedRange<Int>,
        orZero: Bool = false
    ) {
        (section, name) = path
        self.summary = summary
        read = { .number($0[keyPath: property]) }
        write = { configuration, value in
            guard case .number(let number) = value else { return "is not an integer" }
            guard range.contains(number) || orZero && number == 0 else {
                let zero = orZero ? "0 or " : ""
                return "is \(number), not \(zero)within \(range.lowerBound)…\(range.upperBound)"
            }
            configuration[keyPath: property] = number
            return nil
        }
    }

    fileprivate init(
        _ path: (String, String), _ property: Property<Duration>, _ summary: String,
        in range: ClosedRange<Duration>
    ) {
        (section, name) = path
        self.summary = summary
        read = { .text(DurationText.format($0[keyPath: property])) }
        write = { configuration, value in
            guard case .text(let text) = value, let duration = DurationText.parse(text) else {
                return "is not a duration such as \"500ms\", \"20s\" or \"1m0s\""
            }
            guard range.contains(duration) else {
                let (low, high) = (range.lowerBound, range.upperBound)
                return "is \(text), not within \(DurationText.format(low))…\(DurationText.format(high))"
            }
            configuration[keyPath: property] = duration
            return nil
        }
    }
}

extension Configuration {
    private static let day = Duration.seconds(86_400)

    /// Every key, in the order of the sample file.
    public static let keys: [ConfigurationKey] = [
        .init(
            ("log", "level"), \.log.level, "Least severe messages to log.",
            oneOf: ["trace", "debug", "info", "warn", "error"]
        ).reloadable,
        .init(
            ("log", "format"), \.log.format,
            "Format of the log: plain lines, json lines, or entries of systemd's journal. "
                + "auto: journal if standard error is connected to it, plain on a terminal, else json.",
            oneOf: ["auto", "plain", "json", "journal"]),
        .init(
            listen: ("p2p", "listen"), \.p2p.listen,
            "Address host:port to accept peers on, or an array of addresses; IPv6 addresses need brackets."
        ),
        .init(
            ("p2p", "pex"), \.p2p.pex,
            "Exchange peer addresses with peers; if off, discovery streams are closed."
        ).reloadable,
        .init(
            ("p2p", "bootnodes"), \.p2p.bootnodes,
            "Peers to keep connected: <public key hex>#<key type>@host:port or a multiaddr with /p2p/.",
            check: AddressCheck.peerWithAddress
        ).reloadable,
        .init(
            ("p2p", "private"), \.p2p.isPrivate,
            "Connect only to validators and to the peers in whitelist, sentries and bootnodes."
        ).reloadable,
        .init(
            ("p2p", "whitelist"), \.p2p.whitelist,
            "Node IDs or peer IDs to admit in private mode and as leader.", check: AddressCheck.peer
        ).reloadable,
        .init(
            ("p2p", "sentries"), \.p2p.sentries,
            "This node's sentries, also admitted while it leads: node IDs, or entries like bootnodes to keep connected.",
            check: AddressCheck.peer
        ).reloadable,
        .init(
            ("p2p", "private_peers"), \.p2p.privatePeers,
            "Node IDs or peer IDs that peer exchange keeps secret.", check: AddressCheck.peer
        ).reloadable,
        .init(
            ("p2p", "blocklist"), \.p2p.blocklist,
            "Node IDs, peer IDs, IP addresses and networks such as 10.0.0.0/8 to refuse connections with.",
            check: AddressCheck.blocked
        ).reloadable,
        .init(
            ("p2p", "target_connections"), \.p2p.targetConnections,
            "Number of connections to aim for; validators also connect to all other validators.",
            in: 1...10_000
        ).reloadable,
        .init(
            ("p2p", "max_connections"), \.p2p.maxConnections,
            "Maximum number of peers; validators and named peers replace others.", in: 1...100_000
        ).reloadable,
        .init(
            ("p2p", "external_address"), \.p2p.externalAddress,
            "Address host:port to announce, if it differs from the listen address.",
            check: { $0.isEmpty ? nil : AddressCheck.announced($0) }),
        .init(
            ("p2p", "security"), \.p2p.security,
            "Security protocols in order of preference; plaintext is only for trusted links.",
            oneOf: ["noise", "noise-chainID", "plaintext"], mayBeEmpty: false),
        .init(("p2p", "perf"), \.p2p.perf, "Serve the benchmark protocol /perf/1.0.0 to peers."),
        .init(
            ("consensus", "propose_timeout"), \.consensus.proposeTimeout,
            "Minimum time between two blocks with transactions.", in: .zero...day),
        .init(
            ("consensus", "empty_block_timeout"), \.consensus.emptyBlockTimeout,
            "Time after which an empty block is proposed; 0s means never.", in: .zero...day),
        .init(
            ("consensus", "block_proposal_interval"), \.consensus.blockProposalInterval,
            "Time after which a proposal is announced again to validators that have not answered.",
            in: .milliseconds(100)...day),
        .init(
            ("consensus", "block_ann_interval"), \.consensus.blockAnnounceInterval,
            "Time between repeated announcements of the latest block and of votes.",
            in: .milliseconds(100)...day),
        .init(
            ("consensus", "promote_leader"), \.consensus.promoteLeader,
            "Node ID of the validator to follow as leader from promote_height on, if the leader is gone for good."
        ),
        .init(
            ("consensus", "promote_height"), \.consensus.promoteHeight,
            "First height at which the promoted leader may propose.",
            in: 0...Int(ChainLimits.greatestNamedHeight)),
        .init(
            ("mempool", "enabled"), \.mempool.isEnabled,
            "Keep and forward unconfirmed transactions; off makes a blocks-only node, such as an archive."),
        .init(
            ("mempool", "max_size"), \.mempool.maxSize,
            "Maximum size of all unconfirmed transactions, in bytes.",
            in: 1_000_000...10_000_000_000
        ).reloadable,
        .init(
            ("mempool", "max_transactions"), \.mempool.maxTransactions,
            "Maximum number of unconfirmed transactions. A full mempool makes room for senders that have little in it.",
            in: 1...10_000_000
        ).reloadable,
        .init(
            ("mempool", "max_per_sender"), \.mempool.maxPerSender,
            "Maximum number of a sender's unconfirmed transactions, and how far a nonce may be ahead of the account's.",
            in: 1...1_000_000
        ).reloadable,
        .init(
            ("mempool", "max_age"), \.mempool.maxAge,
            "Time after which an unconfirmed transaction is dropped.", in: .seconds(1)...day
        ).reloadable,
        .init(
            ("mempool", "reannounce_interval"), \.mempool.reannounceInterval,
            "Time after which an unconfirmed transaction is announced again.", in: .seconds(1)...day),
        .init(
            listen: ("rpc", "listen"), \.rpc.listen,
            "Address host:port of the JSON-RPC server, or an array of addresses; IPv6 addresses need brackets."
        ),
        .init(
            ("rpc", "broadcast_tx_timeout"), \.rpc.broadcastTxTimeout,
            "Maximum time to wait for a transaction's commit if the client asks to wait.",
            in: .milliseconds(100) ... .seconds(3600)
        ).reloadable,
        .init(
            ("rpc", "timeout"), \.rpc.timeout,
            "Maximum time for a request, in addition to waiting for a commit.",
            in: .milliseconds(100) ... .seconds(3600)
        ).reloadable,
        .init(
            ("rpc", "max_req_size"), \.rpc.maxRequestSize,
            "Maximum size of a request body, in bytes; 0 for as much as the chain's largest transaction needs, at least 6000000.",
            in: 1_000...1_000_000_000, orZero: true
        ).reloadable,
        .init(
            ("rpc", "max_connections"), \.rpc.maxConnections,
            "Maximum number of clients; file descriptors may limit it further.", in: 1...1_000_000
        ).reloadable,
        .init(
            ("rpc", "max_connections_per_address"), \.rpc.maxConnectionsPerAddress,
            "Maximum number of clients from one IP address (IPv6: one /64 network), except this machine's own.",
            in: 1...1_000_000
        ).reloadable,
        .init(
            ("metrics", "enabled"), \.metrics.isEnabled,
            "Serve metrics in Prometheus's text format at http://<metrics.listen>/metrics."),
        .init(
            listen: ("metrics", "listen"), \.metrics.listen,
            "Address host:port of the metrics, or an array; whoever reaches it can read them, peers' number and roles included."
        ),
        .init(
            ("storage", "keep_blocks"), \.storage.keepBlocks,
            "Minimum number of latest blocks to keep; older files of the block log are deleted. 0 keeps all blocks: "
                + "new nodes need peers that do.",
            in: 1_000...1_000_000_000_000, orZero: true),
        .init(
            ("execution", "application"), \.execution.application,
            "Application that executes transactions: sql for SQL on SQLite, noop for nothing (benchmarks).",
            oneOf: ["sql", "noop"]),
        .init(
            ("execution", "cache_size"), \.execution.cacheSize,
            "Maximum size of the page cache for executing blocks, in bytes.", in: 1_000_000...64_000_000_000),
        .init(
            ("queries", "processes"), \.queries.processes,
            "Maximum number of processes for queries of clients. All but one take long queries too, "
                + "each with up to 96 MiB and its page cache, and 32 MiB for the answer.",
            in: 2...64),
        .init(
            ("queries", "cache_size"), \.queries.cacheSize,
            "Maximum size of the page cache of each process for queries, in bytes.",
            in: 100_000...4_000_000_000),
        .init(
            ("reactor", "driver"), \.reactor.driver,
            "Kernel interface: io_uring, epoll, or auto for io_uring if it is available.",
            oneOf: ["auto", "io_uring", "epoll"]),
        .init(
            ("reactor", "check_threads"), \.reactor.checkThreads,
            "Number of threads that check blocks and transactions, beside one for blocks alone; "
                + "0 for one for each processor but one, at most 16.",
            in: 1...64, orZero: true),
    ]
}
