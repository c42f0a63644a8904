import CShims
import Testing

@testable import Crypto

@Suite struct PointCacheTests {
    /// A key, and a point whose first byte tells it from the others.
    private func key(_ number: Int, sign: UInt8 = 2) -> [UInt8] {
        [sign] + withUnsafeBytes(of: number.littleEndian) { [UInt8]($0) } + [UInt8](repeating: 0, count: 24)
    }

    private func point(_ number: Int) -> secp256k1_pubkey {
        var point = secp256k1_pubkey()
        withUnsafeMutableBytes(of: &point) { $0.storeBytes(of: number, as: Int.self) }
        return point
    }

    private func number(_ point: secp256k1_pubkey?) -> Int? {
        point.map { withUnsafeBytes(of: $0) { $0.load(as: Int.self) } }
    }

    @Test func aKeyIsParsedOnce() {
        let cache = PointCache()
        var parsed = 0
        for _ in 0..<3 {
            let found = cache.point(of: key(7)) { _ in
                parsed += 1
                return point(7)
            }
            #expect(number(found) == 7)
        }
        #expect(parsed == 1)
    }

    @Test func keysThatDifferInTheirSignOnlyHaveTheirOwnPoints() {
        let cache = PointCache()
        for _ in 0..<2 {
            #expect(number(cache.point(of: key(1, sign: 2)) { _ in point(1) }) == 1)
            #expect(number(cache.point(of: key(1, sign: 3)) { _ in point(2) }) == 2)
        }
    }

    @Test func whatIsNoPointIsNotKept() {
        let cache = PointCache()
        #expect(cache.point(of: key(1)) { _ in nil } == nil)
        #expect(number(cache.point(of: key(1)) { _ in point(1) }) == 1)
        #expect(cache.point(of: [2, 3]) { _ in nil } == nil)
    }

    @Test func manyMoreKeysThanItHoldsAllGetTheirPoints() {
        let cache = PointCache()
        for _ in 0..<2 {
            for number in 0..<8 * PointCache.capacity {
                #expect(self.number(cache.point(of: key(number)) { _ in point(number) }) == number)
            }
        }
        // The newest key is always kept.
        let last = 8 * PointCache.capacity - 1
        #expect(number(cache.point(of: key(last)) { _ in nil }) == last)
    }

    /// A signature of a cached key is checked as one of a new key is.
    @Test func aCachedKeyVerifies() throws {
        let key = try PrivateKey.generate(.secp256k1)
        let signature = key.sign([1, 2, 3])
        for _ in 0..<3 {
            let copy = try PublicKey(type: .secp256k1, bytes: key.publicKey.bytes)
            #expect(copy.verify(signature, of: [1, 2, 3]))
            #expect(!copy.verify(signature, of: [1, 2, 4]))
        }
        var other = key.publicKey.bytes
        other[0] ^= 1
        #expect(try !PublicKey(type: .secp256k1, bytes: other).verify(signature, of: [1, 2, 3]))
    }
}
