import Arguments
import JSON
import LibP2P
import Log
import Multiformats
import Reactor

/// `apus identify`: shows what a libp2p host reports about itself with `/ipfs/id/1.0.0`.
struct IdentifyCommand: Action {
    let address: Multiaddr
    let options: HostOptions
    let output: OutputForm

    static var command: Command {
        Command(
            "identify", "Show what a libp2p host reports about itself.",
            .argument(
                .multiaddr,
                "Address of the host. With /p2p/PEER-ID, any other peer is refused."),
            HostOptions.parameters,
            OutputForm.parameter,
            action: IdentifyCommand.init)
    }

    func run() async throws {
        try await options.withHost { [address, output] host in
            let peer = try await host.connect(address)
            // Our host asks every new peer anyway, and some hosts answer only once.
            guard let info = await host.identity(of: peer, within: Identify.timeout) else {
                throw LibP2PError.timedOut
            }
            if output == .json { return try StandardOutput.print(.identity(info, of: peer)) }
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

extension JSONLine {
    fileprivate static func identity(_ info: IdentifyInfo, of peer: PeerID) -> JSONLine {
        .object {
            $0.member("peer_id", text: "\(peer)")
            $0.member("agent", text: info.agentVersion)
            $0.member("version", text: info.protocolVersion)
            if let observed = info.observedAddress { $0.member("observed", text: "\(observed)") }
            $0.array("listen", of: info.listenAddresses) { $0.text("\($1)") }
            $0.array("protocols", of: info.protocols) { $0.text("\($1.rawValue)") }
        }
    }
}
