import Synchronization

/// A job in pieces: their results so far, and the caller that waits for all of them.
final class JobPieces<Part: Sendable, Whole: Sendable>: Sendable {
    private struct State {
        var parts: [Part?]
        /// The number of pieces that have not ended.
        var left: Int
        /// The error of the first piece, by number, of those that have failed.
        var failure: (piece: Int, error: any Error)?
    }

    private let state: Mutex<State>
    private let job: @Sendable (Int) throws -> Part
    private let join: @Sendable ([Part]) throws -> Whole
    private let caller: UnsafeContinuation<Whole, any Error>

    /// - Parameters:
    ///   - job: returns the result of the piece with a number below `count`.
    ///   - join: makes one result of all, in order.
    ///   - caller: gets that, or the error.
    init(
        _ count: Int, _ job: @escaping @Sendable (Int) throws -> Part,
        _ join: @escaping @Sendable ([Part]) throws -> Whole, _ caller: UnsafeContinuation<Whole, any Error>
    ) {
        state = Mutex(State(parts: Array(repeating: nil, count: count), left: count))
        self.job = job
        self.join = join
        self.caller = caller
    }

    /// Runs a piece, or skips it once another has failed; `refusal` is the error with which it is refused instead. The piece
    /// that ends last resumes the caller.
    func run(_ piece: Int, _ refusal: ReactorError?) {
        let hasFailed = state.withLock { $0.failure != nil }
        let result: Result<Part, any Error>? =
            if let refusal { .failure(refusal) } else if hasFailed { nil } else {
                Result { try job(piece) }
            }
        let end = state.withLock { state -> Result<[Part?], any Error>? in
            switch result {
            case .success(let part): state.parts[piece] = part
            case .failure(let error):
                if state.failure.map({ piece < $0.piece }) ?? true { state.failure = (piece, error) }
            case nil: break
            }
            state.left &-= 1
            guard state.left == 0 else { return nil }
            return state.failure.map { .failure($0.error) } ?? .success(state.parts)
        }
        if let end { caller.resume(with: Result { try join(try end.get().compactMap { $0 }) }) }
    }
}
