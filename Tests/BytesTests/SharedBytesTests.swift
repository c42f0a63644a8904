import Bytes
import Testing

@Suite struct SharedBytesTests {
    final class Owner {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4, alignment: 1)
        let released: (Owner) -> Void
        init(_ released: @escaping (Owner) -> Void) { self.released = released }
        deinit {
            released(self)
            memory.deallocate()
        }
    }

    @Test func sliceKeepsTheOwnerAlive() throws {
        var released = false
        var slice: SharedBytes?
        do {
            let owner = Owner { _ in released = true }
            owner.memory.copyBytes(from: [1, 2, 3, 4])
            let base = try #require(owner.memory.baseAddress)
            slice = SharedBytes(unsafe: base, count: 4, owner: owner).slice(1..<3)
        }
        #expect(!released)
        #expect(slice?.array == [2, 3])
        slice = nil
        #expect(released)
    }

    @Test func comparesContents() {
        let bytes = SharedBytes([9, 1, 2, 3, 1, 2, 3])
        #expect(bytes.slice(1..<4) == bytes.slice(4..<7))
        #expect(bytes.slice(1..<4).hashValue == SharedBytes([1, 2, 3]).hashValue)
        #expect(bytes.slice(1..<4) != bytes.slice(3..<6))
        #expect(bytes.slice(0..<3) != bytes.slice(0..<4))
        #expect(bytes.slice(7..<7) == SharedBytes())
        #expect(SharedBytes([]).isEmpty && SharedBytes().array.isEmpty)
    }

    @Test func bufferFreezes() {
        let buffer = ByteBuffer(count: 3)
        buffer.bytes.copyBytes(from: [7, 8, 9])
        #expect(buffer.freeze().array == [7, 8, 9])
        #expect(buffer.freeze(count: 2).array == [7, 8])
        #expect(ByteBuffer(count: 0).freeze().isEmpty)
    }
}
