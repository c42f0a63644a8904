import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// The primitives of docs/wire.md, section 1, read from a stream piece by piece.
extension Stream {
    /// 32 bytes.
    func readHash() async throws(LibP2PError) -> Hash {
        guard let hash = try? Hash(try await readExactly(Hash.count)) else { throw .endOfStream }
        return hash
    }

    /// i64, little-endian.
    func readInt64() async throws(LibP2PError) -> Int64 {
        var reader = ByteReader(try await readExactly(8))
        guard let value = try? reader.i64() else { throw .endOfStream }
        return value
    }

    /// cbytes of at most `limit` bytes, which is checked before anything is reserved.
    func readCBytes(limit: Int) async throws(LibP2PError) -> SharedBytes {
        guard let length = try await readCBytesLength(limit: limit) else { return SharedBytes() }
        return try await readShared(length)
    }

    /// The same; `progress` is told now and then how many bytes are here while more are coming.
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

    /// Exactly `count` bytes of a block (`readShared`): `progress` is told whenever there are
    /// `ProtocolLimits.progressBytes` more and others are still coming.
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

    /// The rest of the stream, which the peer ends.
    func readRest(limit: Int) async throws(LibP2PError) -> SharedBytes {
        SharedBytes(try await readToEnd(limit: limit))
    }

    /// The rest of the stream, which the peer ends: what is long only with a place at the gate, for which it waits with
    /// what it has gathered until then. The time for a transaction begins anew when it has one.
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

    /// Reads the `get` that answers an announcement. False when the peer closes instead: it has the content.
    func readGet() async throws(LibP2PError) -> Bool {
        setTimeout(ProtocolLimits.answer)
        let first = try await read(upTo: 3)
        guard !first.isEmpty else { return false }
        let rest = first.count < 3 ? try await readExactly(3 - first.count) : []
        guard first + rest == Stream.get else { throw .malformed("answer to an announcement") }
        return true
    }

    /// The answer that asks for what was announced.
    static var get: [UInt8] { Array("get".utf8) }

    /// Reads a text dialect's hash: 64 hexadecimal digits.
    func readHexHash() async throws(LibP2PError) -> Hash {
        let digits = try await readExactly(64)
        guard let hash = Hash(hex: String(decoding: digits, as: UTF8.self)) else { throw .malformed("hash") }
        return hash
    }

    /// Reads a number that nothing ends but the message itself: its writer sends it in one piece.
    func readDecimal() async throws(LibP2PError) -> Int64 {
        let digits = try await read(upTo: 20)
        guard let text = String(utf8: digits), !text.isEmpty,
            text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
            let number = Int64(text)
        else { throw .malformed("number") }
        return number
    }
}

/// Runs an exchange that a peer has begun; whatever is wrong with it ends the stream, and what is the peer's fault is
/// reported.
@ReactorActor
func serve(
    _ stream: Stream, _ body: @ReactorActor () async throws -> Void
) async {
    do {
        stream.setTimeout(ProtocolLimits.request)
        try await body()
        stream.close()
    } catch {
        stream.reset()
        if let what = misbehaviour(error) { stream.report(what) }
    }
}

/// Which rule an error says that the peer has broken; nil when it may be the network's fault, or this node's: who is
/// behind may not know the leader that signed.
private func misbehaviour(_ error: any Error) -> Misbehaviour? {
    switch error {
    case ProtocolsError.forged: .wrongContent
    case ProtocolsError.malformed, is ChainError, LibP2PError.malformed, LibP2PError.tooLarge: .malformed
    default: nil
    }
}

/// Runs an exchange that this node begins, on a stream of its own, which is closed or reset at the end.
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
    } catch let error as LibP2PError {
        stream.reset()
        throw .stream(error)
    } catch let error as ChainError {
        stream.reset()
        throw .refused(error)
    } catch let error as ProtocolsError {
        stream.reset()
        throw error
    } catch {
        stream.reset()
        throw .malformed("\(error)")
    }
}
