import Chain
import Testing

@testable import Execution

/// Declared types, compared with SQLite's rules for affinity (https://sqlite.org/datatype3.html, section 3.1), which
/// ignore the case of ASCII letters only.
@Suite struct StoredValueTests {
    @Test(arguments: [
        ("INT", DataType.Name.int8), ("bigint", .int8), ("Integer NOT", .int8), ("CHARINT", .int8),
        ("varchar(3)", .text), ("Clob", .text), ("TEXT", .text), ("blob", .bytea), ("BYTEA", .bytea),
        ("numeric(10,2)", .numeric), ("Decimal", .numeric), ("REAL", .numeric), ("float", .numeric),
        ("double precision", .numeric), ("boolean", .bool), ("BOOL", .bool), ("Uuid", .uuid),
    ])
    func declarations(_ declared: String, _ type: DataType.Name) {
        #expect(StoredValue.type(declared: declared) == type)
    }

    /// The upper case of a dotless i and a long s is I and S, but not to SQLite.
    @Test(arguments: ["", "x", "IN", "ıNT", "ǅ", "uui", "NOBOOLX", "DATE", "ﬂoat"])
    func declarationsThatSayNothing(_ declared: String) {
        #expect(StoredValue.type(declared: declared) == nil)
    }

    @Test func noDeclaration() { #expect(StoredValue.type(declared: nil) == nil) }
}
