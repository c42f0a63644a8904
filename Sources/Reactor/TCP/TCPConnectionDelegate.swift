/// Receives the events of a connection. Subclass it: a class rather than a protocol keeps existentials off the byte path.
/// All calls come on the reactor, and never from within a call to the connection.
@ReactorActor
open class TCPConnectionDelegate {
    /// A delegate that ignores everything.
    public nonisolated init() {}

    /// Takes received bytes. They lie in the reactor's memory and are valid and writable, for decryption in place, only
    /// during the call.
    open func received(_ bytes: UnsafeMutableRawBufferPointer) {}

    /// The peer will send nothing more; sending to it may go on.
    open func peerClosedWrite() {}

    /// The send queue was above high water and has fallen to low water.
    open func drained() {}

    /// The connection has ended: nil after an orderly end or `abort`, otherwise the reason. The last call, made exactly
    /// once.
    open func closed(_ error: ReactorError?) {}
}
