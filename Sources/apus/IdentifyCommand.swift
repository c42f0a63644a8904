import ArgumentParser
import LibP2P
import Multiformats
import Reactor

/// `apus identify`: what a libp2p host tells about itself, by `/ipfs/id/1.0.0`.
struct IdentifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "identify", abstract: "Show what a libp2p host tells about itself.")

    @Argument(help: "Address of the host, with or without /p2p/PEER-ID: any other peer than that is refused.")
    var address: Multiaddr

    @OptionGroup var options: HostOptions

    func run() async throws {
        try await options.withHost { [address] host in
            let peer = try await host.connect(address)
            let info = try await Identify.receive(on: try await host.newStream(peer, [.identify]))
            print("peer      \(peer)")
            print("agent     \(Self.printable(info.agentVersion))")
            print("version   \(Self.printable(info.protocolVersion))")
            if let observed = info.observedAddress { print("observed  \(observed)") }
            for address in info.listenAddresses { print("listens   \(address)") }
            for id in info.protocols { print("protocol  \(Self.printable(id.rawValue))") }
        }
    }

    /// A peer's text without what could end its line or move a terminal's cursor.
    private static func printable(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.isGraphic ? $0 : "?" }))
    }
}

extension Unicode.Scalar.Properties {
    /// Whether the scalar shows as itself, a space included.
    fileprivate var isGraphic: Bool {
        switch generalCategory {
        case .control, .format, .surrogate, .unassigned, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }
}
