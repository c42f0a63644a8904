import Collections

/// The content of one file of a virtual disk: the bytes on the device, and in memory the changes since.
///
/// Only the changes are kept twice, and their number is bounded: beyond it the oldest goes to the device by itself,
/// as kernels write back.
struct VirtualInode {
    /// A change that the process sees and the device may lack.
    private struct Change {
        enum Kind {
            case write(offset: Int, [UInt8])
            case truncate(Int)
        }

        var kind: Kind
        /// Whether a failed synchronization made the kernel discard the write, so that it never reaches the device.
        var isLost = false

        /// Returns the parts of this write that a later change leaves visible.
        func without(_ later: Change) -> [Change] {
            guard case .write(let start, let bytes) = kind else { return [self] }
            func part(_ range: Range<Int>) -> Change? {
                guard !range.isEmpty else { return nil }
                let bytes = Array(bytes[range.lowerBound - start..<range.upperBound - start])
                return Change(kind: .write(offset: range.lowerBound, bytes), isLost: isLost)
            }
            let end = start + bytes.count
            switch later.kind {
            case .truncate(let length): return [part(start..<max(start, min(end, length)))].compactMap { $0 }
            case .write(let offset, let others):
                let before = part(start..<max(start, min(end, offset)))
                let after = part(min(end, max(start, offset + others.count))..<end)
                return [before, after].compactMap { $0 }
            }
        }

        /// Returns a file's length after this change.
        func length(from length: Int) -> Int {
            switch kind {
            case .truncate(let new): new
            case .write(let offset, let bytes): max(length, offset + bytes.count)
            }
        }
    }

    private var durable: [UInt8] = []
    private var changes: [Change] = []
    /// The length as the process sees it.
    private(set) var length = 0
    /// The number of open files that refer to this one.
    var opens = 0

    /// The maximum number of changes in memory.
    private static let maxChanges = 64

    /// The number of bytes on the device.
    var durableLength: Int { durable.count }

    // MARK: Operations

    mutating func write(_ bytes: [UInt8], at offset: Int) {
        guard !bytes.isEmpty else { return }
        add(Change(kind: .write(offset: offset, bytes)))
    }

    mutating func truncate(to length: Int) { add(Change(kind: .truncate(length))) }

    private mutating func add(_ change: Change) {
        length = change.length(from: length)
        changes.append(change)
        if changes.count > VirtualInode.maxChanges {
            let oldest = changes.removeFirst()
            if !oldest.isLost { VirtualInode.apply(oldest.kind, to: &durable) }
            measure()
        }
    }

    /// Returns the bytes as the process sees them, fewer at the end of the file.
    func read(at offset: Int, count: Int) -> [UInt8] {
        let end = min(length, offset + count)
        guard offset < end else { return [] }
        var bytes = Array(durable[min(offset, durable.count)..<min(end, durable.count)])
        bytes.append(contentsOf: repeatElement(0, count: end - offset - bytes.count))
        for change in changes {
            switch change.kind {
            case .truncate(let cut):
                for index in max(cut, offset)..<max(cut, offset, end) { bytes[index - offset] = 0 }
            case .write(let start, let new):
                let from = max(start, offset)
                let to = min(start + new.count, end)
                if from < to {
                    bytes.replaceSubrange(from - offset..<to - offset, with: new[from - start..<to - start])
                }
            }
        }
        return bytes
    }

    /// Writes all changes to the device except those lost before, which stay visible in memory.
    mutating func synchronize() {
        var lost: [Change] = []
        for change in changes {
            lost = lost.flatMap { $0.without(change) }
            if change.isLost {
                lost.append(change)
            } else {
                VirtualInode.apply(change.kind, to: &durable)
            }
        }
        changes = lost
        measure()
    }

    // MARK: Faults

    /// Applies a failed synchronization: it has no effect, or some writes stay in memory only, or they are gone at
    /// once.
    mutating func failSynchronize(_ random: inout SeededGenerator) {
        let outcome = random.below(3)
        for index in changes.indices {
            guard case .write = changes[index].kind, outcome > 0, random.below(2) == 0 else { continue }
            changes[index].isLost = true
        }
        if outcome == 2 { forget() }
    }

    /// Discards the changes that never reach the device.
    mutating func forget() {
        changes.removeAll { $0.isLost }
        measure()
    }

    /// Writes all, none or arbitrary sectors of the pending changes to the device.
    mutating func powerFail(_ random: inout SeededGenerator) {
        let share = [0, 100, random.below(100)][Int(random.below(3))]
        for change in changes where !change.isLost { survive(change, share, &random) }
        changes = []
        measure()
    }

    /// Applies each sector of a change with a probability of `share` percent.
    private mutating func survive(_ change: Change, _ share: UInt64, _ random: inout SeededGenerator) {
        switch change.kind {
        case .truncate: if random.below(100) < share { VirtualInode.apply(change.kind, to: &durable) }
        case .write(let offset, let bytes):
            // The length may reach the device without the bytes.
            let length = offset + bytes.count
            if durable.count < length, random.below(100) < share {
                VirtualInode.apply(.truncate(length), to: &durable)
            }
            var start = 0
            while start < bytes.count {
                let sector = (offset + start) / VirtualDisk.sector
                let end = min(bytes.count, (sector + 1) * VirtualDisk.sector - offset)
                if random.below(100) < share {
                    VirtualInode.apply(
                        .write(offset: offset + start, Array(bytes[start..<end])), to: &durable)
                }
                start = end
            }
        }
    }

    /// Flips one bit of a byte on the device.
    mutating func flip(at offset: Int, bit: UInt64) { durable[offset] ^= 1 << UInt8(bit % 8) }

    private mutating func measure() { length = changes.reduce(durable.count) { $1.length(from: $0) } }

    private static func apply(_ kind: Change.Kind, to bytes: inout [UInt8]) {
        switch kind {
        case .truncate(let length):
            if length < bytes.count {
                bytes.removeLast(bytes.count - length)
            } else {
                bytes.append(contentsOf: repeatElement(0, count: length - bytes.count))
            }
        case .write(let offset, let new):
            if bytes.count < offset { apply(.truncate(offset), to: &bytes) }
            bytes.replaceSubrange(offset..<min(bytes.count, offset + new.count), with: new)
        }
    }
}
