import Bytes

/// Keccak-256 as used by Ethereum: the Keccak submission with its original padding, not SHA3-256.
///
/// Implemented here because libcrypto has it only since version 3.2, Debian 12 ships 3.0, and libsodium lacks
/// it. Only wallet signatures need it, so it is written for clarity, not speed.
public enum Keccak256 {
    private static let rate = 136

    /// Returns the Keccak-256 of the bytes.
    public static func hash(_ source: some ByteSource) -> Hash {
        source.withUnsafeBytes { bytes in
            var state = [UInt64](repeating: 0, count: 25)
            var rest = bytes[...]
            while rest.count >= rate {
                absorb(UnsafeRawBufferPointer(rebasing: rest.prefix(rate)), into: &state)
                rest = rest.dropFirst(rate)
            }
            var last = [UInt8](rest) + [UInt8](repeating: 0, count: rate - rest.count)
            last[rest.count] ^= 0x01
            last[rate - 1] ^= 0x80
            last.withUnsafeBytes { absorb($0, into: &state) }
            return Hash { target in
                for lane in 0..<4 {
                    target.storeBytes(of: state[lane].littleEndian, toByteOffset: 8 * lane, as: UInt64.self)
                }
            }
        }
    }

    private static func absorb(_ block: UnsafeRawBufferPointer, into state: inout [UInt64]) {
        for lane in 0..<(rate / 8) {
            state[lane] ^= UInt64(
                littleEndian: block.loadUnaligned(fromByteOffset: 8 * lane, as: UInt64.self))
        }
        permute(&state)
    }

    /// The constants of iota: bit 2^j-1 of round i's constant is bit j+7i of a shift register (FIPS 202,
    /// section 3.2.5).
    private static let roundConstants: [UInt64] = {
        var register: UInt8 = 1
        return (0..<24).map { _ in
            var constant: UInt64 = 0
            for j in 0..<7 {
                if register & 1 == 1 { constant |= 1 &<< ((1 &<< UInt64(j)) &- 1) }
                register = register &<< 1 ^ (register & 0x80 == 0 ? 0 : 0x71)
            }
            return constant
        }
    }()

    /// Keccak-f[1600] (FIPS 202, section 3.3).
    private static func permute(_ a: inout [UInt64]) {
        func rotate(_ lane: UInt64, _ count: Int) -> UInt64 {
            count == 0 ? lane : lane &<< UInt64(count) | lane &>> UInt64(64 - count)
        }
        var column = [UInt64](repeating: 0, count: 5)
        for constant in roundConstants {
            for x in 0..<5 { column[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] }
            for x in 0..<5 {
                let theta = column[(x + 4) % 5] ^ rotate(column[(x + 1) % 5], 1)
                for y in 0..<5 { a[x + 5 * y] ^= theta }
            }
            // rho and pi: follow one lane through all 24 positions that move.
            var x = 1
            var y = 0
            var lane = a[1]
            for step in 0..<24 {
                (x, y) = (y, (2 * x + 3 * y) % 5)
                let displaced = a[x + 5 * y]
                a[x + 5 * y] = rotate(lane, (step + 1) * (step + 2) / 2 % 64)
                lane = displaced
            }
            for y in 0..<5 {
                for x in 0..<5 { column[x] = a[x + 5 * y] }
                for x in 0..<5 { a[x + 5 * y] = column[x] ^ (~column[(x + 1) % 5] & column[(x + 2) % 5]) }
            }
            a[0] ^= constant
        }
    }
}
