import Collections
import Reactor
import Storage

/// Ways in which the file `STATE` (docs/storage.md, "State") of a machine that is off can be wrong. None may cost more than a
/// longer start.
enum StateTampering: String, CaseIterable {
    case missing, torn, flippedBit, earlier, otherChain, edited

    private static let directory = "node/blocks"
    private static let path = directory + "/STATE"
    /// The range of the content in which nothing depends on a byte: the number of transactions, for operators.
    private static let figure = 64..<72

    /// Changes the file, if the machine has one.
    @ReactorActor
    func apply(to machine: SimulatedNode, _ random: inout SeededGenerator) throws(StorageError) {
        let disk = machine.disk.mount()
        guard disk.exists(Self.path) else { return }
        let file = try disk.open(Self.path, .readWrite)
        let bytes = try file.read(at: 0, count: try file.length())
        guard !bytes.isEmpty else { return }
        let place = Int(random.next() % UInt64(bytes.count))
        switch self {
        case .missing: _ = try disk.remove(Self.path)
        case .torn: try file.truncate(to: place)
        case .flippedBit: try file.write([bytes[place] ^ 1 << UInt8(random.next() % 8)], at: place)
        case .earlier:
            guard let former = machine.formerState else { break }
            try file.truncate(to: 0)
            try file.write(former, at: 0)
        // The genesis hash comes first.
        case .otherChain: try edit(disk) { $0[0] ^= 1 }
        case .edited:
            try edit(disk) { content in
                let place = place % content.count
                if !Self.figure.contains(place) { content[place] ^= 1 << UInt8(random.next() % 8) }
            }
        }
        machine.formerState = bytes
    }

    /// Changes the content under a valid checksum.
    private func edit(_ disk: any Disk, _ change: (inout [UInt8]) -> Void) throws(StorageError) {
        let file = StateFile(directory: Self.directory, disk: disk)
        guard var content = try file.read()?.array, !content.isEmpty else { return }
        change(&content)
        try file.write(content)
    }
}
