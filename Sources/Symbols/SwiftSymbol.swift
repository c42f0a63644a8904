import CShims
import Glibc

/// The readable names of Swift's symbols.
public enum SwiftSymbol {
    /// Returns what a function is called in the source, such as `Reactor.EventLoop.turn`, without its parameters and its
    /// compiler-made variants. A symbol that is not Swift's is returned unchanged.
    public static func name(of symbol: String) -> String {
        guard symbol.hasPrefix("$s"), let text = apus_swift_demangle(symbol) else { return symbol }
        defer { free(text) }
        return short(String(cString: text))
    }

    /// What comes before the name of a function of which a symbol is a part or a variant.
    private static let prefixes = [
        "async function pointer to ",
        "partial function for ", "partial apply forwarder for ", "protocol witness for ", "merged ",
        "specialized ", "dispatch thunk of ", "method descriptor for ", "default argument 0 of ",
    ]
    /// Variants with generic arguments between their name and the function's.
    private static let specializations = ["generic specialization <", "function signature specialization <"]

    /// Shortens a demangled name.
    static func short(_ name: String) -> String {
        var name = Substring(name)
        if name.hasPrefix("reabstraction thunk") { return "reabstraction thunk" }
        var isClosure = false
        var isShorter = true
        while isShorter {
            let before = name.count
            for prefix in prefixes {
                if let range = name.firstRange(of: prefix), !name[..<range.lowerBound].contains("(in ") {
                    name = name[range.upperBound...]
                }
            }
            for start in specializations where name.hasPrefix(start) {
                if let range = name.firstRange(of: "> of ") { name = name[range.upperBound...] }
            }
            if name.hasPrefix("closure #") || name.hasPrefix("implicit closure #"),
                let range = lastRange(of: " in ", in: name)
            {
                isClosure = true
                name = name[range.upperBound...]
            }
            isShorter = name.count < before
        }
        if name.hasPrefix("static ") { name = name.dropFirst("static ".count) }
        let function = withoutParameters(withoutDiscriminators(name))
        return isClosure ? "closure in \(function)" : function
    }

    private static func lastRange(of text: String, in name: Substring) -> Range<Substring.Index>? {
        var last: Range<Substring.Index>?
        for range in name.ranges(of: text) {
            // `(name in _HASH)` is a private name and `(extension in Module):Type` a type, not what a closure is in.
            if !name[range.upperBound...].hasPrefix("_"), !name[..<range.lowerBound].hasSuffix("(extension") {
                last = range
            }
        }
        return last
    }

    /// Replaces `(name in _HASH)`, a private name, by the name.
    private static func withoutDiscriminators(_ name: Substring) -> String {
        var out = ""
        var rest = name
        while let range = rest.firstRange(of: " in _"),
            let open = rest[..<range.lowerBound].lastIndex(of: "("),
            let close = rest[range.upperBound...].firstIndex(of: ")")
        {
            out += rest[..<open] + rest[rest.index(after: open)..<range.lowerBound]
            rest = rest[rest.index(after: close)...]
        }
        return out + rest
    }

    /// Cuts a name where its parameters or its type begin, and drops generic arguments.
    private static func withoutParameters(_ name: String) -> String {
        var out = ""
        var depth = 0
        for character in name {
            switch character {
            case "<": depth += 1
            case ">" where depth > 0: depth -= 1
            case "(" where depth == 0 && !out.isEmpty && out.last != ".": return out
            case ":" where depth == 0 && out.last == " ": return String(out.dropLast())
            default: if depth == 0 { out.append(character) }
            }
        }
        return out
    }
}
