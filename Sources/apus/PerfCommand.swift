import Arguments
import JSON
import LibP2P
import Multiformats
import Reactor

/// `apus perf`: measures the throughput of one stream with `/perf/1.0.0`, or serves such measurements.
struct PerfCommand: Action {
    let address: Multiaddr?
    let upload: UInt64
    let download: UInt64
    let idle: Int?
    let listen: Multiaddr?
    let options: HostOptions
    let output: OutputForm

    /// The maximum number of connections of a process, well below the usual limit of 65,536 descriptors.
    private static let idleLimit = 20_000

    static var command: Command {
        Command(
            "perf", "Measure the throughput of a stream, or serve such measurements.",
            .argument(.multiaddr, "Address of a host that serves /perf/1.0.0."),
            .option(
                "upload", .byteCount, default: UInt64(0),
                "Bytes to send, such as 1000, 64KiB, 16MiB, 1GiB."),
            .option("download", .byteCount, default: UInt64(0), "Bytes to receive."),
            .option(
                "idle", .integer(1...idleLimit),
                "Hold this many idle connections, each from a host with its own Ed25519 key, until interrupted. "
                    + "Prints a line once all are open."),
            .option(
                "listen", .multiaddr,
                "Serve perf, ping and identify at this address until interrupted. The first line of output is the "
                    + "full address."),
            HostOptions.parameters,
            OutputForm.parameter,
            action: PerfCommand.init)
    }

    func validate() throws(UsageError) {
        guard (address == nil) != (listen == nil) else {
            throw .inconsistent("give either the address of a host or --listen")
        }
        if idle != nil {
            guard listen == nil, upload == 0, download == 0, options.key == nil else {
                throw .inconsistent(
                    "--idle needs an address and cannot be combined with --upload, --download or --key")
            }
        } else if address != nil, upload == 0, download == 0 {
            throw .inconsistent("nothing to measure: give --upload, --download or --idle")
        }
        if listen != nil, upload != 0 || download != 0 {
            throw .inconsistent(
                "--listen cannot be combined with --upload or --download, which the other side chooses")
        }
    }

    func run() async throws {
        if let address {
            if let idle { try await hold(idle, address) } else { try await measure(address) }
        }
        if let listen { try await serve(listen) }
    }

    private func measure(_ address: Multiaddr) async throws {
        try await options.withHost { [upload, download, output] host in
            let peer = try await host.connect(address)
            let stream = try await host.newStream(peer, [.perf])
            let result = try await Perf.measure(upload: upload, download: download, on: stream)
            if output == .json { return try StandardOutput.print(.perf(upload, download, result)) }
            if upload > 0 { try Self.report("upload", upload, result.upload) }
            if download > 0 { try Self.report("download", download, result.download) }
        }
    }

    private static func report(_ name: String, _ count: UInt64, _ time: Duration) throws {
        let rate = DecimalText.text(Double(count) / 1e9 / (time / .seconds(1)), places: 3)
        try StandardOutput.print("\(name): \(count) bytes in \(time.milliseconds), \(rate) GB/s")
    }

    /// Connects `count` hosts, each with a key of its own, since the server may close a second connection of one peer.
    private func hold(_ count: Int, _ address: Multiaddr) async throws {
        let signal = try StopSignal()
        try await options.withHost { [options, output] first in
            var hosts = [first]
            for _ in 1..<count { hosts.append(try options.makeHost()) }
            do {
                for (index, host) in hosts.enumerated() {
                    if index > 0 { try host.start() }
                    _ = try await host.connect(address)
                }
                let open = hosts.count { !$0.connectedPeers.isEmpty }
                switch output {
                case .text: try StandardOutput.printAtOnce("\(open) connections")
                case .json:
                    try StandardOutput.printAtOnce(.object { $0.member("connections", integer: open) })
                }
                await signal.wait()
            } catch {
                for host in hosts.dropFirst() { await host.stop() }
                throw error
            }
            for host in hosts.dropFirst() { await host.stop() }
        }
    }

    private func serve(_ address: Multiaddr) async throws {
        let signal = try StopSignal()
        // All clients may share one address.
        var limits = ResourceLimits()
        limits.connections = Self.idleLimit
        limits.inboundConnections = Self.idleLimit
        limits.connectionsPerIP = Self.idleLimit
        limits.connectionBurstPerIP = Self.idleLimit
        limits.pendingPerIP = limits.pendingInbound
        try await options.withHost(listening: [address], limits: limits) { [output] host in
            host.register(Perf())
            let addresses = host.listenAddresses.map { $0.appending(.p2p(host.peerID)) }
            switch output {
            case .text: for address in addresses { try StandardOutput.printAtOnce("\(address)") }
            case .json:
                try StandardOutput.printAtOnce(
                    .object { $0.array("listen", of: addresses) { $0.text("\($1)") } })
            }
            await signal.wait()
        }
    }
}

extension JSONLine {
    fileprivate static func perf(
        _ upload: UInt64, _ download: UInt64, _ result: Perf.Result
    ) -> JSONLine {
        .object { line in
            for (name, count, time) in [
                ("upload", upload, result.upload), ("download", download, result.download),
            ] where count > 0 {
                line.name(name)
                line.object {
                    $0.member("bytes", integer: count)
                    $0.member("seconds", number: time / .seconds(1))
                }
            }
        }
    }
}
