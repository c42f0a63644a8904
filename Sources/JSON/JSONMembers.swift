/// The members of an object, taken one by one by name; `finish` rejects the rest. A null member counts as
/// absent.
///
/// The search for a name starts after the previous match, so taking members in the text's order costs
/// nothing.
public struct JSONMembers: Sendable {
    /// The number of members `finish` can track. No format of this node has as many, so an object with more
    /// has unknown ones.
    private static let tracked = 64

    private let object: JSONObject
    /// Where to search first: the index and number of a member.
    private var next: Int
    private var nextNumber = 0
    /// A bit for each of the first `tracked` members, set once it was taken.
    private var taken: UInt64 = 0

    init(_ object: JSONObject) {
        self.object = object
        next = object.index &+ 1
    }

    /// The object's path in the document; empty for the whole document.
    public var path: String { JSONTape.path(to: object.index, object.document.tape, object.document.texts) }

    /// The object itself.
    public var value: JSONValue { JSONValue(document: object.document, index: object.index) }

    /// Takes the member `name`, even if null. Returns nil if it is absent.
    public mutating func present(_ name: StaticString) -> JSONValue? {
        find(name).map { JSONValue(document: object.document, index: $0) }
    }

    /// Takes the member `name`. Returns nil if it is absent or null.
    public mutating func optional(_ name: StaticString) -> JSONValue? {
        guard let value = present(name), !value.isNull else { return nil }
        return value
    }

    /// Takes the member `name`. Throws if it is absent or null.
    public mutating func value(_ name: StaticString) throws(JSONError) -> JSONValue {
        guard let value = optional(name) else { throw error(name, .missing) }
        return value
    }

    /// Throws for the first member that was neither taken nor null.
    public func finish() throws(JSONError) {
        var number = 0
        for (name, value) in object {
            let isTaken = number < Self.tracked && taken & (1 &<< UInt64(number)) != 0
            if !isTaken, !value.isNull {
                throw JSONError(.unknown, path: name.withUnsafeBytes { JSONError.joined(path, $0) })
            }
            number &+= 1
        }
    }

    /// Returns an error about the member `name`: `must be at least 1`.
    public func error(_ name: StaticString, _ reason: String) -> JSONError { error(name, .value(reason)) }

    private func error(_ name: StaticString, _ reason: JSONError.Reason) -> JSONError {
        let bytes = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        return JSONError(reason, path: JSONError.joined(path, bytes))
    }

    /// Returns the index of the member's value and marks it as taken.
    private mutating func find(_ name: StaticString) -> Int? {
        let wanted = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        let (tape, texts) = (object.document.tape, object.document.texts)
        let (first, end) = (object.index &+ 1, object.end)
        guard first < end else { return nil }
        var (index, number) = (next, nextNumber)
        if index >= end { (index, number) = (first, 0) }
        let start = index
        repeat {
            let value = index &+ 1
            let isFound = JSONTape.isEqual(JSONTape.text(tape[index], texts), wanted)
            let current = number
            index = JSONTape.next(tape, value)
            number &+= 1
            if isFound {
                if current < Self.tracked { taken |= 1 &<< UInt64(current) }
                (next, nextNumber) = (index, number)
                return value
            }
            if index >= end { (index, number) = (first, 0) }
        } while index != start
        return nil
    }
}
