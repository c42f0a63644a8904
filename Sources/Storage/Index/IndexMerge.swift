import Crypto

/// Merges adjacent runs, oldest first, into one.
struct IndexMerge {
    private var sources: [Source]
    /// The next entry of each source; nil at its end.
    private var heads: [IndexEntry?]

    /// The entries of one run, a bucket at a time.
    private struct Source {
        let run: IndexRun
        private var bucket = 0
        private var bytes: [UInt8] = []
        private var offset = 0

        init(_ run: IndexRun) { self.run = run }

        mutating func next() throws(StorageError) -> IndexEntry? {
            while offset == bytes.count {
                guard bucket < run.header.buckets else { return nil }
                bytes = try run.bucket(bucket)
                bucket += 1
                offset = 0
            }
            defer { offset += IndexEntry.size }
            return bytes.withUnsafeBytes { bytes in
                IndexEntry(decoding: UnsafeRawBufferPointer(rebasing: bytes[offset...]))
            }
        }
    }

    /// The number of positions to read at once, and of entries between two calls of `goesOn`.
    private static let batch = 4096

    init(_ runs: [IndexRun]) {
        sources = runs.map(Source.init)
        heads = runs.map { _ in nil }
    }

    /// Writes everything; returns false if `goesOn`, which is called often, did so before that.
    mutating func run(
        into writer: inout IndexRunWriter, while goesOn: () throws(StorageError) -> Bool
    ) throws(StorageError) -> Bool {
        for source in sources {
            let header = source.run.header
            var height = header.firstHeight
            while height <= header.lastHeight {
                guard try goesOn() else { return false }
                let count = min(IndexMerge.batch, Int(header.lastHeight - height) + 1)
                for location in try source.run.locations(from: height, count: count) {
                    try writer.append(location)
                }
                height += Int64(count)
            }
        }
        for index in sources.indices { heads[index] = try sources[index].next() }
        var count = 0
        while let (index, entry) = smallest() {
            count += 1
            if count % IndexMerge.batch == 0 { guard try goesOn() else { return false } }
            try writer.append(entry)
            heads[index] = try sources[index].next()
        }
        return true
    }

    /// Returns the smallest next entry and the index of its source.
    private func smallest() -> (index: Int, entry: IndexEntry)? {
        var smallest: (index: Int, entry: IndexEntry)?
        for (index, head) in heads.enumerated() {
            guard let head else { continue }
            if let known = smallest, !head.precedes(known.entry) { continue }
            smallest = (index, head)
        }
        return smallest
    }
}
