import Bytes

/// Signatures of Ethereum wallets: `personal_sign` (EIP-191, version 0x45) with Keccak-256.
public enum EthereumSignature {
    /// Returns whether the key with the 20-byte `address` made `signature` (65 bytes r‖s‖v) of `message`. Any
    /// input is safe.
    public static func verify(
        _ signature: some ByteSource, of message: some ByteSource, address: [UInt8]
    ) -> Bool {
        signature.withUnsafeBytes { signature in
            guard signature.count == 65, address.count == 20 else { return false }
            // Wallets write 27 or 28. The reference also accepts 0 to 7, where 4 to 7 mean the same as 0 to
            // 3.
            let recovery: UInt8
            switch signature[64] {
            case 27, 28: recovery = signature[64] &- 27
            case 0...7: recovery = signature[64] & 3
            default: return false
            }
            let point = Secp256k1.recover(
                signature, recovery: recovery, digest: Ethereum.personalDigest(of: message))
            return point.map { Ethereum.address(of: $0) == address } ?? false
        }
    }
}

/// Addresses and digests of Ethereum.
enum Ethereum {
    /// Returns the address of a key: the last 20 bytes of the Keccak-256 of its two coordinates.
    static func address(of point: [UInt8]) -> [UInt8] {
        Array(Keccak256.hash(point).array.suffix(20))
    }

    /// Returns the digest that `personal_sign` signs.
    static func personalDigest(of message: some ByteSource) -> Hash {
        message.withUnsafeBytes {
            var input = Array("\u{19}Ethereum Signed Message:\n\($0.count)".utf8)
            input.append(contentsOf: $0)
            return Keccak256.hash(input)
        }
    }
}
