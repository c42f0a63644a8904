extension UnsafeRawBufferPointer {
    /// The address for C functions that take `const uint8_t *`. Never null, because some functions reject
    /// null even for zero bytes.
    var uint8: UnsafePointer<UInt8> {
        (baseAddress ?? UnsafeRawPointer(Nothing.address)).assumingMemoryBound(to: UInt8.self)
    }
}

extension UnsafeMutableRawBufferPointer {
    /// The address for C functions that take `uint8_t *`. Never null.
    var uint8: UnsafeMutablePointer<UInt8> {
        (baseAddress ?? Nothing.address).assumingMemoryBound(to: UInt8.self)
    }
}

/// An address for empty buffers.
private enum Nothing {
    nonisolated(unsafe) static let address = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16)
}
