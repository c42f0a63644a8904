import Bytes
import CShims
import Glibc

/// The names of the running program's functions, from the symbol table of its own file (ELF-64, "Symbol Table").
///
/// Made for rare questions: a look-up reads the whole table. Callable from any thread that may block.
public struct ProgramSymbols: ~Copyable {
    /// A program larger than this is not read.
    private static let maxSize = 1 << 30

    private let file: UnsafeRawBufferPointer

    /// Maps the program's file; without one that can be read, no function of the program has a name.
    public init() { file = Self.map("/proc/self/exe") ?? UnsafeRawBufferPointer(start: nil, count: 0) }

    deinit {
        if let start = file.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), file.count) }
    }

    private static func map(_ path: String) -> UnsafeRawBufferPointer? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size > 0, status.st_size <= maxSize else {
            return nil
        }
        let start = mmap(nil, status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard start != MAP_FAILED else { return nil }
        return UnsafeRawBufferPointer(start: start, count: status.st_size)
    }

    /// Returns the readable name of the function that holds an address of this process, without its parameters. If its symbol
    /// is unknown, as in a stripped program: the file's name and the offset in it, which `addr2line` takes. Nil if no loaded
    /// file holds the address.
    public func name(of address: UInt) -> String? {
        var place = apus_place()
        guard apus_find(address, &place), let path = place.path else { return nil }
        if place.is_program, let symbol = symbol(at: address, base: place.base) {
            return SwiftSymbol.name(of: symbol)
        }
        if let symbol = place.symbol { return SwiftSymbol.name(of: String(cString: symbol)) }
        let file = String(cString: path).split(separator: "/").last ?? "?"
        return "\(file)+0x\(String(address &- place.base, radix: 16))"
    }

    // MARK: ELF

    private enum Section {
        static let symbols: UInt32 = 2
        static let size = 64
    }
    private enum Symbol {
        static let object: UInt8 = 1
        static let function: UInt8 = 2
        static let size = 24
    }
    /// A file that is loaded where it says, not anywhere.
    private static let fixedType: UInt16 = 2

    private func integer<Value: FixedWidthInteger>(_ type: Value.Type, at offset: Int) -> Value? {
        guard offset >= 0, offset <= file.count - MemoryLayout<Value>.size else { return nil }
        return Value(littleEndian: file.loadUnaligned(fromByteOffset: offset, as: type))
    }

    /// Returns the part of the file that a section's header describes.
    private func content(_ header: Int) -> Range<Int>? {
        guard let offset = integer(UInt64.self, at: header + 24),
            let size = integer(UInt64.self, at: header + 32),
            let start = Int(exactly: offset), let count = Int(exactly: size), start <= file.count,
            count <= file.count - start
        else { return nil }
        return start..<start + count
    }

    private func symbol(at address: UInt, base: UInt) -> String? {
        guard file.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]), let type = integer(UInt16.self, at: 16),
            let place = integer(UInt64.self, at: 40), let sections = Int(exactly: place),
            sections < file.count, let count = integer(UInt16.self, at: 60)
        else { return nil }
        let value = UInt64(type == Self.fixedType ? address : address &- base)
        for index in 0..<Int(count) {
            let header = sections + index * Section.size
            guard integer(UInt32.self, at: header + 4) == Section.symbols, let symbols = content(header),
                let link = integer(UInt32.self, at: header + 40), link < count,
                let names = content(sections + Int(link) * Section.size)
            else { continue }
            return search(symbols, names, for: value)
        }
        return nil
    }

    private func search(_ symbols: Range<Int>, _ names: Range<Int>, for value: UInt64) -> String? {
        for offset in stride(
            from: symbols.lowerBound, through: symbols.upperBound - Symbol.size, by: Symbol.size)
        {
            guard let kind = integer(UInt8.self, at: offset + 4),
                kind & 15 == Symbol.function || kind & 15 == Symbol.object,
                let start = integer(UInt64.self, at: offset + 8),
                let size = integer(UInt64.self, at: offset + 16),
                start <= value, value - start < max(size, 1), let name = integer(UInt32.self, at: offset)
            else { continue }
            let bytes = file[names].dropFirst(Int(name)).prefix { $0 != 0 }
            return String(decoding: bytes, as: UTF8.self)
        }
        return nil
    }
}
