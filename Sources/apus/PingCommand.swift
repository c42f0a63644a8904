import ArgumentParser
import LibP2P
import Multiformats
import Reactor

/// `apus ping`: round trips to any libp2p host, by `/ipfs/ping/1.0.0`.
struct PingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ping", abstract: "Measure round trips to a libp2p host.")

    @Argument(help: "Address of the host, with or without /p2p/PEER-ID: any other peer than that is refused.")
    var address: Multiaddr

    @Option(help: "Pings on each stream.")
    var count = 1

    @Option(help: "Streams on the one connection, all open at the same time.")
    var streams = 1

    @OptionGroup var options: HostOptions

    func validate() throws {
        guard count > 0 else { throw ValidationError("--count must be at least 1") }
        guard streams > 0 else { throw ValidationError("--streams must be at least 1") }
    }

    func run() async throws {
        try await options.withHost { [address, count, streams] host in
            let peer = try await host.connect(address)
            var open: [LibP2P.Stream] = []
            var times: [Duration] = []
            for number in 0..<count {
                for index in 0..<streams {
                    if index == open.count { open.append(try await host.newStream(peer, [.ping])) }
                    let time = try await Ping.measure(on: open[index])
                    times.append(time)
                    if streams == 1 { print("\(peer): ping \(number + 1): \(time.milliseconds)") }
                }
            }
            for stream in open { stream.close() }
            guard let least = times.min(), let most = times.max() else { return }
            let mean = times.reduce(.zero, +) / times.count
            let over = streams == 1 ? "" : " over \(streams) streams"
            print(
                "\(times.count) pings\(over): least \(least.milliseconds), mean \(mean.milliseconds), "
                    + "most \(most.milliseconds)")
        }
    }
}
