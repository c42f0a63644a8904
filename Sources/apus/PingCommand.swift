import Arguments
import JSON
import LibP2P
import Multiformats
import Reactor

/// `apus ping`: measures round trips to any libp2p host with `/ipfs/ping/1.0.0`.
struct PingCommand: Action {
    let address: Multiaddr
    let count: Int
    let streams: Int
    let options: HostOptions
    let output: OutputForm

    static var command: Command {
        Command(
            "ping", "Measure round trips to a libp2p host.",
            .argument(
                .multiaddr,
                "Address of the host. With /p2p/PEER-ID, any other peer is refused."),
            // About a day of the fastest pings.
            .option("count", .integer(1...1_000_000_000), default: 1, "Number of pings on each stream."),
            .option(
                "streams", .integer(1...ResourceLimits().streamsPerConnection), default: 1,
                "Number of streams to open at once on one connection."),
            HostOptions.parameters,
            OutputForm.parameter,
            action: PingCommand.init)
    }

    func run() async throws {
        try await options.withHost { [address, count, streams, output] host in
            let peer = try await host.connect(address)
            var open: [LibP2P.Stream] = []
            var (minimum, maximum, sum) = (Duration.seconds(Int64.max), Duration.zero, Duration.zero)
            for number in 0..<count {
                for index in 0..<streams {
                    if index == open.count { open.append(try await host.newStream(peer, [.ping])) }
                    let time = try await Ping.measure(on: open[index])
                    (minimum, maximum, sum) = (min(minimum, time), max(maximum, time), sum + time)
                    guard streams == 1, output == .text else { continue }
                    try StandardOutput.printAtOnce("\(peer): ping \(number + 1): \(time.milliseconds)")
                }
            }
            for stream in open { stream.close() }
            let mean = sum / (count * streams)
            if output == .json {
                return try StandardOutput.print(
                    JSONLine.object {
                        $0.member("peer_id", text: "\(peer)")
                        $0.member("pings", integer: count * streams)
                        $0.member("streams", integer: streams)
                        $0.member("min_seconds", number: minimum / .seconds(1))
                        $0.member("mean_seconds", number: mean / .seconds(1))
                        $0.member("max_seconds", number: maximum / .seconds(1))
                    })
            }
            let over = streams == 1 ? "" : " over \(streams) streams"
            try StandardOutput.print(
                "\(count * streams) pings\(over): min \(minimum.milliseconds), "
                    + "mean \(mean.milliseconds), max \(maximum.milliseconds)")
        }
    }
}
