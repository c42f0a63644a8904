import LibP2P

/// A stream protocol of Kwil or Apus in which the peer that opens the stream speaks first (docs/wire.md, sections 7 and 8).
public protocol KwilStreamProtocol: StreamProtocol {
    /// The protocol's ID; the preferred one, if it has several.
    nonisolated static var id: ProtocolID { get }
}

extension KwilStreamProtocol {
    /// The protocol's only ID.
    public nonisolated static var ids: [ProtocolID] { [id] }
    /// The time for a request or an announcement to arrive.
    public nonisolated static var patience: Duration? { ProtocolLimits.request }
}
