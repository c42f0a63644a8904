import Reactor

/// The streams of one priority that have bytes to send while the send queue is full. The links are in the streams, so that
/// joining the line allocates nothing.
@ReactorActor
struct StreamLine {
    private var head: Stream?
    private var tail: Stream?

    nonisolated init() {}

    var isEmpty: Bool { head == nil }

    /// Adds a stream that is in no line.
    mutating func append(_ stream: Stream) {
        stream.isInLine = true
        if let tail { tail.nextInLine = stream } else { head = stream }
        tail = stream
    }

    /// Takes out the stream that has waited longest.
    mutating func popFirst() -> Stream? {
        guard let first = head else { return nil }
        head = first.nextInLine
        if head == nil { tail = nil }
        first.nextInLine = nil
        first.isInLine = false
        return first
    }

    /// Takes out a stream, if it is in this line.
    mutating func remove(_ stream: Stream) {
        var previous: Stream?
        var next = head
        while let candidate = next, candidate !== stream {
            previous = candidate
            next = candidate.nextInLine
        }
        guard next != nil else { return }
        if let previous { previous.nextInLine = stream.nextInLine } else { head = stream.nextInLine }
        if tail === stream { tail = previous }
        stream.nextInLine = nil
        stream.isInLine = false
    }

    /// Forgets all streams, which have ended.
    mutating func removeAll() {
        head = nil
        tail = nil
    }
}
