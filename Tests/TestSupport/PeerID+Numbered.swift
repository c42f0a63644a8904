import Multiformats

extension PeerID {
    /// A peer ID of two bytes for each number below 65,536. No key belongs to it.
    public static func numbered(_ number: Int) -> PeerID {
        let bytes = [0x00, 0x02, UInt8(number >> 8 & 255), UInt8(number & 255)]
        guard let peer = try? PeerID(bytes: bytes) else { preconditionFailure("a peer ID of two bytes") }
        return peer
    }
}
