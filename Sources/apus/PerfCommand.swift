import ArgumentParser
import Foundation
import LibP2P
import Multiformats
import Reactor

/// `apus perf`: throughput of one stream, by `/perf/1.0.0`, from either end.
struct PerfCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perf", abstract: "Measure the throughput of a stream, or serve such measurements.")

    @Argument(help: "Address of a host that serves /perf/1.0.0.")
    var address: Multiaddr?

    @Option(help: "Bytes to send, such as 1000, 64KiB, 16MiB, 1GiB.")
    var upload = ByteCount(0)

    @Option(help: "Bytes to receive.")
    var download = ByteCount(0)

    @Option(
        help:
            "Hold this many idle connections, each from a host with its own Ed25519 key, until interrupted; a line is printed once all stand."
    )
    var idle: Int?

    @Option(
        help:
            "Serve perf, ping and identify at this address until interrupted; the first line is the full address."
    )
    var listen: Multiaddr?

    @OptionGroup var options: HostOptions

    func validate() throws {
        guard (address == nil) != (listen == nil) else {
            throw ValidationError("give either the address of a host or --listen")
        }
        if let idle {
            guard (1...Self.idleLimit).contains(idle) else {
                throw ValidationError("--idle must be from 1 to \(Self.idleLimit)")
            }
            guard listen == nil, upload.value == 0, download.value == 0, options.key == nil else {
                throw ValidationError(
                    "--idle goes with an address, and with no --upload, --download or --key")
            }
        } else if address != nil, upload.value == 0, download.value == 0 {
            throw ValidationError("nothing to measure: give --upload, --download or --idle")
        }
        if listen != nil, upload.value != 0 || download.value != 0 {
            throw ValidationError("--upload and --download are the other side's to choose with --listen")
        }
    }

    func run() async throws {
        if let address {
            if let idle { try await hold(idle, address) } else { try await measure(address) }
        }
        if let listen { try await serve(listen) }
    }

    private func measure(_ address: Multiaddr) async throws {
        try await options.withHost { [upload, download] host in
            let peer = try await host.connect(address)
            let stream = try await host.newStream(peer, [.perf])
            let result = try await Perf.measure(
                upload: upload.value, download: download.value, on: stream)
            if upload.value > 0 { Self.report("upload", upload, result.upload) }
            if download.value > 0 { Self.report("download", download, result.download) }
        }
    }

    private static func report(_ name: String, _ count: ByteCount, _ time: Duration) {
        let rate = Double(count.value) / 1e9 / (time / .seconds(1))
        print("\(name): \(count.value) bytes in \(time.milliseconds), \(String(format: "%.3f", rate)) GB/s")
    }

    /// Connections that one process holds at most: what is left of the usual 65,536 descriptors is plenty.
    private static let idleLimit = 20_000

    /// Connects hosts with keys of their own, so that the other end cannot take two connections for one.
    private func hold(_ count: Int, _ address: Multiaddr) async throws {
        let signal = StopSignal()
        try await options.withHost { [options] first in
            var hosts = [first]
            for _ in 1..<count { hosts.append(try options.makeHost()) }
            do {
                for (index, host) in hosts.enumerated() {
                    if index > 0 { try host.start() }
                    _ = try await host.connect(address)
                }
                let standing = hosts.count { !$0.connectedPeers.isEmpty }
                FileHandle.standardOutput.write(Data("\(standing) connections\n".utf8))
                await signal.wait()
            } catch {
                for host in hosts.dropFirst() { await host.stop() }
                throw error
            }
            for host in hosts.dropFirst() { await host.stop() }
        }
    }

    private func serve(_ address: Multiaddr) async throws {
        let signal = StopSignal()
        // All measurements come from few machines, often one.
        var limits = ResourceLimits()
        limits.connections = Self.idleLimit
        limits.inboundConnections = Self.idleLimit
        limits.connectionsPerIP = Self.idleLimit
        limits.connectionBurstPerIP = Self.idleLimit
        limits.pendingPerIP = limits.pendingInbound
        try await options.withHost(listening: [address], limits: limits) { host in
            host.setStreamHandler(.perf) { await Perf.respond(on: $0) }
            for address in host.listenAddresses {
                let line = "\(address.appending(.p2p(host.peerID)))\n"
                FileHandle.standardOutput.write(Data(line.utf8))
            }
            await signal.wait()
        }
    }
}

/// A number of bytes as people write it: `1000`, `64KiB`, `16MiB`, `1GiB`.
struct ByteCount: ExpressibleByArgument, Sendable, CustomStringConvertible {
    private static let units: [(suffix: String, size: UInt64)] = [
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
    ]

    let value: UInt64

    init(_ value: UInt64) { self.value = value }

    init?(argument: String) {
        let unit = Self.units.first { argument.hasSuffix($0.suffix) }
        guard let number = UInt64(argument.dropLast(unit?.suffix.count ?? 0)) else { return nil }
        let (value, overflow) = number.multipliedReportingOverflow(by: unit?.size ?? 1)
        guard !overflow else { return nil }
        self.value = value
    }

    var description: String { String(value) }
}
