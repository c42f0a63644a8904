import Bytes

/// Stacks with weights, joined where they begin alike.
struct StackTree {
    /// A function as called from its parent.
    struct Node {
        var name: String
        var origin: PerfFrame.Origin
        /// The weight of the stacks that pass through it, and of those that end in it.
        var total: UInt64 = 0
        var own: UInt64 = 0
        /// Indices of the functions it calls, in the order first seen.
        var children: [Int] = []
    }

    private struct Key: Hashable {
        var parent: Int
        var frame: PerfFrame
    }

    /// All functions; the first is the root, which calls the threads.
    private(set) var nodes = [Node(name: "all", origin: .program)]
    private var places: [Key: Int] = [:]

    /// The weight of all stacks.
    var total: UInt64 { nodes[0].total }

    /// Adds a stack, the outermost function first. Calls of a function by itself count as one.
    mutating func add(_ stack: some Sequence<PerfFrame>, weight: UInt64) {
        var place = 0
        nodes[0].total &+= weight
        for frame in stack {
            if place > 0, nodes[place].name == frame.name { continue }
            let key = Key(parent: place, frame: frame)
            let child: Int
            if let known = places[key] {
                child = known
            } else {
                child = nodes.count
                nodes.append(Node(name: frame.name, origin: frame.origin))
                nodes[place].children.append(child)
                places[key] = child
            }
            place = child
            nodes[place].total &+= weight
        }
        nodes[place].own &+= weight
    }

    /// The functions in which stacks end, the heaviest first.
    func heaviest(_ count: Int) -> [(name: String, own: UInt64)] {
        var own: [String: UInt64] = [:]
        for node in nodes where node.own > 0 { own[node.name, default: 0] &+= node.own }
        return own.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(count).map { ($0.key, $0.value) }
    }

    /// One line for each stack, `thread;outer;inner weight`: the input of other flame graph programs.
    var folded: String {
        var out = ""
        var names: [String] = []
        func write(_ place: Int) {
            let node = nodes[place]
            names.append(node.name.replacing(";", with: ":"))
            if node.own > 0 { out += "\(names.dropFirst().joined(separator: ";")) \(node.own)\n" }
            for child in node.children { write(child) }
            names.removeLast()
        }
        write(0)
        return out
    }
}
