/// What a connection tells its owner. A class rather than a protocol, so that the byte path has no existential. All
/// calls come on the reactor, and never from within a call to the connection. To be subclassed.
@ReactorActor
open class TCPConnectionDelegate {
    /// A delegate that ignores everything.
    public nonisolated init() {}

    /// Bytes came in. They are the reactor's memory: valid, and free to be overwritten (decrypted in place), during
    /// the call only.
    open func received(_ bytes: UnsafeMutableRawBufferPointer) {}

    /// The peer will send nothing more; sending to it may go on.
    open func peerClosedWrite() {}

    /// The send queue was above high water and has fallen to low water.
    open func drained() {}

    /// The connection is over: nil after an orderly end or `abort`, else why. The last call, made exactly once.
    open func closed(_ error: ReactorError?) {}
}
