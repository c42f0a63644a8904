import Glibc

/// The message header and vectors of a send, at a fixed address because the kernel reads them while the send is under
/// way.
@ReactorActor
final class SendRequest {
    private nonisolated static let vectorCount = 16

    nonisolated(unsafe) let message: UnsafeMutablePointer<msghdr>
    private nonisolated(unsafe) let vectors: UnsafeMutableBufferPointer<iovec>

    init() {
        vectors = .allocate(capacity: Self.vectorCount)
        vectors.initialize(repeating: iovec())
        message = .allocate(capacity: 1)
        message.initialize(to: msghdr())
        message.pointee.msg_iov = vectors.baseAddress
    }

    deinit {
        message.deallocate()
        vectors.deallocate()
    }

    /// Describes the head of `queue`, about `limit` bytes of it.
    func fill(from queue: SendQueue, limit: Int) {
        let (used, _) = queue.describe(vectors, limit: limit)
        message.pointee.msg_iovlen = used
    }
}
