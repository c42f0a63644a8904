import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// Reads and writes the primitives of docs/wire.md, sections 1 and 7.
extension Stream {
    /// Reads 32 bytes.
    func readHash() async throws(LibP2PError) -> Hash {
        guard let hash = try? Hash(try await readExactly(Hash.count)) else { throw .endOfStream }
        return hash
    }

    /// Reads an i64, little-endian.
    func readInt64() async throws(LibP2PError) -> Int64 {
        var reader = ByteReader(try await readExactly(8))
        guard let value = try? reader.i64() else { throw .endOfStream }
        return value
    }

    /// Reads cbytes of at most `limit` bytes. The limit is checked before memory is reserved.
    func readCBytes(limit: Int) async throws(LibP2PError) -> SharedBytes {
        guard let length = try await readCBytesLength(limit: limit) else { return SharedBytes() }
        return try await readShared(length)
    }

    /// The same. While more is coming, `progress` is told now and then how many bytes have come.
    func readCBytes(
        limit: Int, progress: @ReactorActor (Int) async -> Void
    ) async throws(LibP2PError) -> SharedBytes {
        guard let length = try await readCBytesLength(limit: limit) else { return SharedBytes() }
        return try await readBlock(length, idle: nil, progress: progress)
    }

    private func readCBytesLength(limit: Int) async throws(LibP2PError) -> Int? {
        var prefix: [UInt8] = []
        repeat {
            guard prefix.count < 10 else { throw .malformed("length") }
            prefix += try await readExactly(1)
        } while prefix.last.map { $0 & 0x80 != 0 } == true
        var reader = ByteReader(prefix)
        guard let length = try? reader.varint(), length >= 0 else { throw .malformed("length") }
        guard length <= Int64(limit) else { throw .tooLarge("field of \(length) bytes") }
        return length > 0 ? Int(length) : nil
    }

    /// Reads exactly `count` bytes of a block (`readShared`). While more is coming, `progress` is told after every
    /// `ProtocolLimits.progressBytes`.
    func readBlock(
        _ count: Int, idle: Duration?, progress: @ReactorActor (Int) async -> Void
    ) async throws(LibP2PError) -> SharedBytes {
        var told = 0
        return try await readShared(count, idle: idle) { filled in
            guard filled - told >= ProtocolLimits.progressBytes, filled < count else { return }
            await progress(filled)
            told = filled
        }
    }

    /// Reads to the peer's end of the stream.
    func readRest(limit: Int) async throws(LibP2PError) -> SharedBytes {
        try await readSharedToEnd(limit: limit)
    }

    /// Reads to the peer's end of the stream. A long transaction needs a place at the gate: the reader waits for it with what
    /// has come so far, and the time for a transaction begins anew when it has one.
    func readRest(limit: Int, _ place: BulkPlace) async throws -> SharedBytes {
        do {
            return SharedBytes(try await readToEnd(limit: limit) { await self.goesOn(with: $0, place) })
        } catch {
            throw place.isRefused ? ProtocolsError.busy : error
        }
    }

    private func goesOn(with gathered: Int, _ place: BulkPlace) async -> Bool {
        guard gathered > BulkGate.freeBytes else { return true }
        do {
            try await place.enter(for: self) { self.setTimeout(ProtocolLimits.transaction) }
            return true
        } catch {
            return false
        }
    }

    /// Sends what has been announced, if the peer answers with `get`. False when the peer closes the stream instead: it has the
    /// content.
    func sendOnRequest(_ content: SharedBytes, within limit: Duration) async throws(LibP2PError) -> Bool {
        guard try await isRequested() else { return false }
        setTimeout(limit)
        try await write(content)
        return true
    }

    /// Reads the answer to an announcement: true for `get`, false if the peer closes the stream instead.
    func isRequested() async throws(LibP2PError) -> Bool {
        setTimeout(ProtocolLimits.answer)
        let first = try await read(upTo: 3)
        guard !first.isEmpty else { return false }
        let rest = first.count < 3 ? try await readExactly(3 - first.count) : []
        guard first + rest == Stream.get else { throw .malformed("answer to an announcement") }
        return true
    }

    /// The answer that requests what was announced.
    static var get: [UInt8] { Array("get".utf8) }

    /// Writes the only message of a dialogue, and waits until the peer has read it and closed the stream.
    func deliver(_ message: [UInt8]) async throws {
        try await write(message)
        closeWrite()
        guard try await read(upTo: 1).isEmpty else {
            throw ProtocolsError.malformed("reply where none is due")
        }
    }

    /// Reads a request for what has this hash, in the dialect of its first bytes: in the text dialect the hash follows `prefix`.
    func readHashRequest(_ prefix: [UInt8]) async throws -> (hash: Hash, dialect: Dialect) {
        let first = try await readExactly(prefix.count)
        if first == prefix { return (try await readHexHash(), .text) }
        return (try Hash(first + (try await readExactly(Hash.count - first.count))), .binary)
    }

    /// Reads a hash of the text dialect: 64 hexadecimal digits.
    func readHexHash() async throws(LibP2PError) -> Hash {
        let digits = try await readExactly(64)
        guard let hash = Hash(hex: String(decoding: digits, as: UTF8.self)) else { throw .malformed("hash") }
        return hash
    }

    /// Reads a number that only the end of the message delimits: its writer sends it in one piece.
    func readDecimal() async throws(LibP2PError) -> Int64 {
        let digits = try await read(upTo: 20)
        guard let text = String(utf8: digits), !text.isEmpty,
            text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
            let number = Int64(text)
        else { throw .malformed("number") }
        return number
    }
}

/// Runs a dialogue that this node begins, on a stream of its own, which is closed or reset at the end.
@ReactorActor
func exchange<T>(
    _ host: Host, _ peer: PeerID, _ protocols: [ProtocolID],
    _ body: @ReactorActor (Stream) async throws -> T
) async throws(ProtocolsError) -> T {
    let stream: Stream
    do { stream = try await host.newStream(peer, protocols) } catch { throw .stream(error) }
    do {
        stream.setTimeout(ProtocolLimits.request)
        let result = try await body(stream)
        stream.close()
        return result
    } catch {
        stream.reset()
        throw ProtocolsError(error)
    }
}
