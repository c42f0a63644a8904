import Collections
import TestSupport
import Testing

/// A set and the array it should equal.
private struct Twins {
    var set: OrderedSet<TestKey> = []
    var model: [TestKey] = []

    mutating func append(_ key: TestKey) {
        let isNew = !model.contains(key)
        if isNew { model.append(key) }
        #expect(set.append(key) == isNew)
    }

    mutating func remove(_ key: TestKey) {
        let index = model.firstIndex(of: key)
        #expect(set.remove(key) == index.map { model.remove(at: $0) })
    }

    mutating func removeFirst(_ count: Int) {
        let count = min(count, model.count)
        set.removeFirst(count)
        model.removeFirst(count)
    }

    mutating func filter(_ divisor: Int) {
        set = set.filter { $0.number % divisor != 0 }
        model = model.filter { $0.number % divisor != 0 }
    }

    func check(_ keys: [TestKey]) {
        #expect(set.count == model.count && set.isEmpty == model.isEmpty)
        #expect(set.first == model.first && set.last == model.last)
        #expect(Array(set) == model)
        #expect(set.last { $0.number % 3 == 0 } == model.last { $0.number % 3 == 0 })
        let known = Set(model)
        #expect(keys.allSatisfy { set.contains($0) == known.contains($0) })
    }
}

struct OrderedSetTests {
    /// Each seed selects a kind of key and a size of set.
    @Test(
        "Generated operations agree with an array's, on copies too", arguments: 0..<60 as Range<UInt64>)
    func operations(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let size = [4, 16, 40, 150, 600][Int(seed % 5)]
        let hashes = [0, 0, 1, 7][Int(seed % 4)]
        let keys = (0..<size).map { TestKey(number: $0, hashes: hashes) }
        var twins = Twins()
        var copies: [Twins] = []
        // Alternates between mostly adding and mostly removing, so that every size occurs.
        var adding = true
        for number in 0..<2_000 {
            if number % (size / 2) == 0 { adding = Bool.random(using: &generator) }
            let key = keys[Int.random(in: 0..<size, using: &generator)]
            switch Int.random(in: 0..<200, using: &generator) {
            case 0..<120: if adding { twins.append(key) } else { twins.remove(key) }
            case 120..<160: if adding { twins.remove(key) } else { twins.append(key) }
            case 160..<170: if let first = twins.model.first { twins.remove(first) }
            case 170..<180: if let last = twins.model.last { twins.remove(last) }
            case 180..<190: twins.removeFirst(Int.random(in: 0..<4, using: &generator))
            case 190: twins.removeFirst(Int.random(in: 0...size, using: &generator))
            case 191: twins.filter(Int.random(in: 1...5, using: &generator))
            case 192..<196 where copies.count < 4: copies.append(twins)
            default: if !copies.isEmpty { swap(&twins, &copies[number % copies.count]) }
            }
            if number % max(16, size) == 0 { twins.check(keys) }
        }
        twins.check(keys)
        for copy in copies { copy.check(keys) }
    }

    @Test("A sliding window over new keys stays correct however far it moves")
    func window() {
        for width in [1, 15, 16, 17, 100, 500] {
            var set: OrderedSet<Int> = []
            for number in 0..<width * 20 {
                set.append(number)
                if set.count > width { set.removeFirst(1) }
                guard set.first == max(0, number - width + 1), set.last == number else {
                    Issue.record("width \(width): \(set.first ?? -1) to \(set.last ?? -1) at \(number)")
                    return
                }
            }
            #expect(Array(set) == Array(width * 19..<width * 20))
            #expect((0..<width * 20).allSatisfy { set.contains($0) == ($0 >= width * 19) })
        }
    }

    @Test("Sets are equal if they hold the same elements in the same order, whatever they held before")
    func equality() {
        var left: OrderedSet<Int> = OrderedSet(0..<100)
        for number in 0..<100 where number % 10 != 0 { left.remove(number) }
        let right: OrderedSet = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
        #expect(left == right && left.hashValue == right.hashValue)
        left.remove(0)
        #expect(left != right)
        left.append(0)
        #expect(left != right && Set(left) == Set(right))
    }

    @Test("A repeated element keeps its position")
    func again() {
        let set = OrderedSet([3, 1, 3, 2, 1])
        #expect(Array(set) == [3, 1, 2])
        #expect(Array(OrderedSet<Int>()).isEmpty && OrderedSet<Int>().last == nil)
        var more = set
        more.append(contentsOf: [2, 5])
        #expect(Array(more) == [3, 1, 2, 5] && Array(set) == [3, 1, 2])
    }
}
