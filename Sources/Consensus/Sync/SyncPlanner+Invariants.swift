import Reactor

extension SyncPlanner {
    /// Throws if the state is inconsistent.
    public func checkInvariants() throws(BrokenInvariant) {
        try BrokenInvariant.check(
            heldSize == slots.reduce(0) { $0 + $1.size }, "\(heldSize) bytes are counted for the held blocks")
        try BrokenInvariant.check(
            Int64(uncommitted.count) == delivered &- tip && uncommittedSize == uncommitted.reduce(0, +),
            "\(uncommitted.count) blocks of \(uncommittedSize) bytes are delivered")
        try BrokenInvariant.check(delivered >= tip, "\(delivered) is delivered, and the tip is \(tip)")
        try BrokenInvariant.check(
            target != nil || slots.isEmpty, "\(slots.count) heights are wanted without a target")
        try BrokenInvariant.check(
            Int64(slots.count) <= Self.window, "\(slots.count) heights are requested or held")
        for (id, peer) in peers {
            let requests = running.values.filter { $0.from == id && !$0.isOrphaned }
            try BrokenInvariant.check(
                peer.requests == requests.count && peer.late == requests.count(where: \.isLate),
                "\(peer.requests) requests, \(peer.late) of them late, are counted for \(id)")
        }
        for case .asked(let request) in slots {
            try BrokenInvariant.check(running[request] != nil, "a height waits for a request that has ended")
        }
    }
}
