import Glibc

/// simdjson's tape: one word per value, and a second one per number. An object or array has a word at either
/// end, each holding the other's index; an object's members alternate names and values.
enum JSONTape {
    typealias Tape = UnsafePointer<UInt64>
    typealias Texts = UnsafePointer<UInt8>

    /// The type of a word: its highest byte.
    enum Kind {
        static let root = UInt8(ascii: "r")
        static let object = UInt8(ascii: "{")
        static let objectEnd = UInt8(ascii: "}")
        static let array = UInt8(ascii: "[")
        static let arrayEnd = UInt8(ascii: "]")
        static let text = UInt8(ascii: "\"")
        static let int64 = UInt8(ascii: "l")
        static let uint64 = UInt8(ascii: "u")
        static let double = UInt8(ascii: "d")
        static let yes = UInt8(ascii: "t")
        static let no = UInt8(ascii: "f")
        static let null = UInt8(ascii: "n")
    }

    /// The largest object whose names are compared pairwise.
    private static let compared = 12

    @inline(__always)
    static func kind(_ word: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: word &>> 56) }

    /// Returns the index after the object or array that begins with `word`.
    @inline(__always)
    static func index(_ word: UInt64) -> Int { Int(truncatingIfNeeded: word & 0xFFFF_FFFF) }

    /// Returns the offset of a string: all bits but the kind.
    @inline(__always)
    static func offset(_ word: UInt64) -> Int { Int(truncatingIfNeeded: word & 0x00FF_FFFF_FFFF_FFFF) }

    /// Returns the index after the value at `index`.
    @inline(__always)
    static func next(_ tape: Tape, _ index: Int) -> Int {
        let word = tape[index]
        switch kind(word) {
        case Kind.object, Kind.array: return self.index(word)
        case Kind.int64, Kind.uint64, Kind.double: return index &+ 2
        default: return index &+ 1
        }
    }

    /// Returns the bytes of the string that `word` refers to.
    @inline(__always)
    static func text(_ word: UInt64, _ texts: Texts) -> UnsafeRawBufferPointer {
        let start = UnsafeRawPointer(texts + offset(word))
        return UnsafeRawBufferPointer(start: start + 4, count: Int(start.loadUnaligned(as: UInt32.self)))
    }

    /// A repeated name: the words of the object and of the second occurrence.
    struct Duplicate {
        let object: Int
        let name: Int
    }

    /// Returns the sizes of tape and strings, or the first repeated name.
    static func extent(_ tape: Tape, _ texts: Texts) -> (words: Int, textsSize: Int, duplicate: Duplicate?) {
        var index = 1
        var textsSize = 0
        while true {
            let word = tape[index]
            switch kind(word) {
            case Kind.root:
                return (index &+ 1, textsSize, nil)
            case Kind.text:
                // Strings are contiguous, so the last one marks the end.
                textsSize = offset(word) &+ text(word, texts).count &+ 5
            case Kind.int64, Kind.uint64, Kind.double:
                index &+= 1
            case Kind.object:
                if let name = duplicate(in: index, tape, texts) {
                    return (0, 0, Duplicate(object: index, name: name))
                }
            default:
                break
            }
            index &+= 1
        }
    }

    /// Returns the word of the first name that the object repeats.
    private static func duplicate(in object: Int, _ tape: Tape, _ texts: Texts) -> Int? {
        let end = index(tape[object]) &- 1
        var names = 0
        var name = object &+ 1
        while name < end {
            if names >= compared { return duplicateByHashing(from: object, to: end, tape, texts) }
            let bytes = text(tape[name], texts)
            var earlier = object &+ 1
            while earlier < name {
                if isEqual(bytes, text(tape[earlier], texts)) { return name }
                earlier = next(tape, earlier &+ 1)
            }
            names &+= 1
            name = next(tape, name &+ 1)
        }
        return nil
    }

    /// Finds a repeated name in a large object, which may be built to be costly: uses a hash table whose
    /// hashes differ in each process.
    private static func duplicateByHashing(
        from object: Int, to end: Int, _ tape: Tape, _ texts: Texts
    ) -> Int? {
        var count = 0
        var name = object &+ 1
        while name < end {
            count &+= 1
            name = next(tape, name &+ 1)
        }
        // Keep at least half of the table empty.
        var size = 64
        while size < 2 &* count { size &*= 2 }
        var table = [UInt32](repeating: 0, count: size)
        name = object &+ 1
        while name < end {
            let bytes = text(tape[name], texts)
            var hasher = Hasher()
            hasher.combine(bytes: bytes)
            var slot = hasher.finalize() & (size &- 1)
            while table[slot] != 0 {
                if isEqual(bytes, text(tape[Int(table[slot])], texts)) { return name }
                slot = (slot &+ 1) & (size &- 1)
            }
            table[slot] = UInt32(truncatingIfNeeded: name)
            name = next(tape, name &+ 1)
        }
        return nil
    }

    static func isEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        guard left.count == right.count else { return false }
        guard let leftBase = left.baseAddress, let rightBase = right.baseAddress else { return true }
        return memcmp(leftBase, rightBase, left.count) == 0
    }

    static func error(
        _ duplicate: Duplicate, _ tape: Tape, _ texts: Texts, in source: UnsafeRawBufferPointer
    ) -> JSONError {
        let name = JSONError.quoted(text(tape[duplicate.name], texts))
        let position = JSONSyntax.position(ofValue: ordinal(of: duplicate.name, tape), in: source)
        return JSONError(
            .duplicateKey(name), path: path(to: duplicate.object, tape, texts), position: position)
    }

    /// Returns the number of values and names that begin before the word at `target`.
    private static func ordinal(of target: Int, _ tape: Tape) -> Int {
        var count = 0
        var index = 1
        while index < target {
            switch kind(tape[index]) {
            case Kind.objectEnd, Kind.arrayEnd: break
            case Kind.int64, Kind.uint64, Kind.double:
                count &+= 1
                index &+= 1
            default: count &+= 1
            }
            index &+= 1
        }
        return count
    }

    /// Returns the path of the value at `target`, such as `validators[2].power`; empty for the whole
    /// document.
    static func path(to target: Int, _ tape: Tape, _ texts: Texts) -> String {
        var path = ""
        var index = 1
        while index < target {
            let isObject = kind(tape[index]) == Kind.object
            let end = self.index(tape[index]) &- 1
            var child = index &+ 1
            var number = 0
            while child < end {
                let value = isObject ? child &+ 1 : child
                let after = next(tape, value)
                if target < after {
                    path = isObject ? JSONError.joined(path, text(tape[child], texts)) : "\(path)[\(number)]"
                    index = value
                    break
                }
                child = after
                number &+= 1
            }
            if child >= end { break }
        }
        return path
    }
}
