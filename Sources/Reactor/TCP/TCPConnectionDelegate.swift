/// Receives the events of a connection. Subclass it: a class rather than a protocol keeps existentials off the byte path.
/// All calls come on the reactor, and never from within a call to the connection.
@ReactorActor
open class TCPConnectionDelegate {
    /// A delegate that ignores everything.
    public nonisolated init() {}

    /// Bytes came in. They lie in the reactor's memory: during the call only, they are valid and may be overwritten
    /// (decrypted in place).
    open func received(_ bytes: UnsafeMutableRawBufferPointer) {}

    /// The peer will send nothing more; sending to it may go on.
    open func peerClosedWrite() {}

    /// The send queue was above high water and has fallen to low water.
    open func drained() {}

    /// The connection is over: after an orderly end or `abort` (nil), or for a reason. The last call, made exactly once.
    open func closed(_ error: ReactorError?) {}
}
