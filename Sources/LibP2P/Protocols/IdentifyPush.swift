import Reactor

/// `/ipfs/id/push/1.0.0`: the initiator tells that what it said about itself has changed, and closes the stream.
///
/// libp2p identify specification.
@ReactorActor
struct IdentifyPush: StreamProtocol {
    static let ids: [ProtocolID] = [.identifyPush]

    private unowned let host: Host

    init(_ host: Host) { self.host = host }

    /// Takes what the peer tells, unless it does so too often.
    func serve(_ stream: Stream) async throws { try await host.takePush(stream) }
}

extension ProtocolID {
    /// Tells a peer that what identify said has changed.
    public static let identifyPush: ProtocolID = "/ipfs/id/push/1.0.0"
}
