/// The repairs made when a store was opened. Clean after an orderly stop.
public struct RecoveryReport: Sendable, CustomStringConvertible {
    /// The size of the torn write dropped from the end of the log, in bytes.
    public internal(set) var bytesDropped = 0
    /// The file and offset of the torn write.
    public internal(set) var droppedFrom: (path: String, offset: Int)?
    /// Why the index was rebuilt from the log; nil if it was not.
    public internal(set) var indexRebuilt: String?
    /// Why the commit mark could not be used; nil if it could.
    public internal(set) var markIgnored: String?
    /// The number of blocks in the log.
    public internal(set) var blocks: Int64 = 0

    /// Whether nothing needed repair.
    public var isClean: Bool { bytesDropped == 0 && indexRebuilt == nil && markIgnored == nil }

    /// One line.
    public var description: String {
        var facts = ["\(blocks) blocks"]
        if let droppedFrom {
            facts.append(
                "dropped \(bytesDropped) bytes of an unfinished block at offset \(droppedFrom.offset) of "
                    + droppedFrom.path)
        }
        if let indexRebuilt { facts.append("rebuilt the index: \(indexRebuilt)") }
        if let markIgnored { facts.append("could not use the commit mark: \(markIgnored)") }
        return facts.joined(separator: "; ")
    }
}
