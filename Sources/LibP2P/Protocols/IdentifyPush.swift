import Reactor

/// `/ipfs/id/push/1.0.0`: the initiator sends changed information about itself and closes the stream.
///
/// libp2p identify specification.
@ReactorActor
struct IdentifyPush: StreamProtocol {
    static let ids: [ProtocolID] = [.identifyPush]

    private unowned let host: Host

    init(_ host: Host) { self.host = host }

    /// Reads the peer's information, unless it pushes too often.
    func serve(_ stream: Stream) async throws { try await host.takePush(stream) }
}

extension ProtocolID {
    /// Sends a host's changed information to a peer.
    public static let identifyPush: ProtocolID = "/ipfs/id/push/1.0.0"
}
