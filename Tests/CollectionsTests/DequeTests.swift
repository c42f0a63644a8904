import Collections
import TestSupport
import Testing

/// An element that counts its instances: the deque manages memory itself.
private final class Token: Equatable {
    /// Counts the live tokens.
    final class Census {
        var alive = 0
    }

    let number: Int
    private let census: Census

    init(_ number: Int, _ census: Census) {
        self.number = number
        self.census = census
        census.alive += 1
    }

    deinit { census.alive -= 1 }

    static func == (left: Token, right: Token) -> Bool { left === right }
}

/// A deque and the array it should equal.
private struct Twins {
    var deque: Deque<Token> = []
    var model: [Token] = []

    mutating func append(_ token: Token) {
        deque.append(token)
        model.append(token)
    }

    mutating func append(contentsOf tokens: some Collection<Token>) {
        deque.append(contentsOf: tokens)
        model.append(contentsOf: tokens)
    }

    mutating func takeOne(_ generator: inout SeededGenerator) {
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: #expect(deque.popFirst() == (model.isEmpty ? nil : model.removeFirst()))
        case 1: #expect(deque.popLast() == model.popLast())
        default: if !model.isEmpty { #expect(deque.removeFirst() == model.removeFirst()) }
        }
    }

    mutating func takeMany(_ generator: inout SeededGenerator) {
        switch Int.random(in: 0..<3, using: &generator) {
        case 0:
            let count = Int.random(in: 0...model.count, using: &generator)
            deque.removeFirst(count)
            model.removeFirst(count)
        case 1:
            let divisor = Int.random(in: 1...7, using: &generator)
            deque.removeAll { $0.number % divisor == 0 }
            model.removeAll { $0.number % divisor == 0 }
        default:
            (deque, model) = ([], [])
        }
    }

    func check() {
        #expect(deque.count == model.count && deque.isEmpty == model.isEmpty)
        #expect(deque.first == model.first && deque.last == model.last)
        #expect(deque.elementsEqual(model))
        #expect(model.indices.allSatisfy { deque[$0] == model[$0] })
    }
}

struct DequeTests {
    @Test(
        "Generated operations agree with an array's, on copies too", arguments: 0..<40 as Range<UInt64>)
    func operations(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let census = Token.Census()
        do {
            var twins = Twins()
            var copies: [Twins] = []
            for number in 0..<1_000 {
                switch Int.random(in: 0..<100, using: &generator) {
                case 0..<40: twins.append(Token(number, census))
                case 40..<75: twins.takeOne(&generator)
                case 75..<85:
                    let count = Int.random(in: 0..<20, using: &generator)
                    let tokens = (0..<count).map { Token(number + $0, census) }
                    // An array has contiguous storage; a reversed one does not.
                    if number % 2 == 0 {
                        twins.append(contentsOf: tokens)
                    } else {
                        twins.append(contentsOf: tokens.reversed())
                    }
                case 85..<90:
                    guard let index = twins.model.indices.randomElement(using: &generator) else { continue }
                    let token = Token(number, census)
                    twins.deque[index] = token
                    twins.model[index] = token
                case 90..<92: twins.takeMany(&generator)
                case 92..<94: twins.append(contentsOf: twins.deque)
                case 94..<97 where copies.count < 5: copies.append(twins)
                default: if !copies.isEmpty { swap(&twins, &copies[number % copies.count]) }
                }
                if twins.model.count > 500 { twins.takeMany(&generator) }
                if number % 50 == 0 { twins.check() }
            }
            twins.check()
            for copy in copies { copy.check() }
            withExtendedLifetime((twins, copies)) { #expect(census.alive > 0 || twins.model.isEmpty) }
        }
        #expect(census.alive == 0, "every element was destroyed once")
    }

    @Test("Elements stay in order as the ring grows, wherever it begins")
    func sizes() {
        for start in 0..<9 {
            var deque: Deque<Int> = []
            for number in 0..<start {
                deque.append(number)
                deque.removeFirst()
            }
            for number in 0..<70 {
                deque.append(number)
                #expect(Array(deque) == Array(0...number))
                #expect(deque.prefix(3).elementsEqual(0...min(number, 2)))
            }
        }
    }

    @Test("An empty deque holds nothing")
    func empty() {
        var deque: Deque<Int> = []
        #expect(deque.popFirst() == nil && deque.popLast() == nil && deque.first == nil && deque.last == nil)
        deque.append(contentsOf: [])
        deque.removeFirst(0)
        deque.removeAll { _ in true }
        #expect(deque.isEmpty && Array(deque).isEmpty)
        deque.append(contentsOf: [1, 2])
        #expect(Array(deque) == [1, 2])
        #expect(Array([3, 4] as Deque) == [3, 4])
    }

    @Test("A condition that throws loses no element")
    func throwing() {
        struct Stop: Error {}
        var deque: Deque = [0, 1, 2, 3, 4, 5]
        let copy = deque
        #expect(throws: Stop.self) {
            try deque.removeAll { number in
                guard number < 4 else { throw Stop() }
                return number % 2 == 0
            }
        }
        #expect(deque.sorted() == Array(0..<6))
        #expect(Array(copy) == Array(0..<6))
    }

    @Test("An element is changed in place")
    func inPlace() {
        var deque: Deque<[Int]> = []
        deque.append(Array(0..<100))
        let address = deque[0].withUnsafeBufferPointer(\.baseAddress)
        deque[0][5] = 7
        #expect(deque[0].withUnsafeBufferPointer(\.baseAddress) == address)
        #expect(deque[0][5] == 7)
    }
}
