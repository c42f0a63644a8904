@testable import Storage

/// Changes to files behind a store's back.
enum Tamper {
    static func length(_ path: String) throws -> Int { try SystemDisk.shared.open(path, .read).length() }

    static func truncate(_ path: String, to length: Int) throws {
        try SystemDisk.shared.open(path, .readWrite).truncate(to: length)
    }

    /// Inverts one bit.
    static func flip(_ path: String, at offset: Int, bit: Int = 0) throws {
        let file = try SystemDisk.shared.open(path, .readWrite)
        let byte = try file.read(at: offset, count: 1)
        try file.write([byte[0] ^ 1 << UInt8(bit)], at: offset)
    }
}
