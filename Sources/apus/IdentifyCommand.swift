import Arguments
import LibP2P
import Log
import Multiformats
import Reactor

/// `apus identify`: shows what a libp2p host reports about itself with `/ipfs/id/1.0.0`.
struct IdentifyCommand: Action {
    let address: Multiaddr
    let options: HostOptions

    static var command: Command {
        Command(
            "identify", "Show what a libp2p host reports about itself.",
            .argument(
                .multiaddr,
                "Address of the host. With /p2p/PEER-ID, any other peer is refused."),
            HostOptions.parameters,
            action: IdentifyCommand.init)
    }

    func run() async throws {
        try await options.withHost { [address] host in
            let peer = try await host.connect(address)
            // Our host asks every new peer anyway, and some hosts answer only once.
            guard let info = await host.identity(of: peer, within: Identify.timeout) else {
                throw LibP2PError.timedOut
            }
            try StandardOutput.print("peer      \(peer)")
            try StandardOutput.print("agent     \(EscapedText(info.agentVersion))")
            try StandardOutput.print("version   \(EscapedText(info.protocolVersion))")
            if let observed = info.observedAddress { try StandardOutput.print("observed  \(observed)") }
            for address in info.listenAddresses { try StandardOutput.print("listens   \(address)") }
            for id in info.protocols {
                try StandardOutput.print("protocol  \(EscapedText(id.rawValue))")
            }
        }
    }
}
