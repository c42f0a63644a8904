import Node

/// Checks that a node records the stages of a committed block in an order that can be: nothing is executed before it is
/// verified, voted on before it is executed, or committed before a quorum agrees.
enum StageChecker {
    /// What a committed block has passed on every node.
    private static let always: [BlockStage] = [.executed, .quorum, .logged, .committed]
    /// Stages of which the second never comes before the first.
    private static let ordered: [(BlockStage, BlockStage)] = [
        (.building, .proposed), (.building, .executed), (.header, .body), (.body, .verified),
        (.verified, .executed), (.executed, .voteDurable), (.voteDurable, .ackSent), (.executed, .logged),
        (.quorum, .logged), (.logged, .committed),
    ]

    static func check(_ trace: BlockTrace, of node: String) throws(CheckerFailure) {
        func time(_ stage: BlockStage) -> Duration? { trace.stages.first { $0.stage == stage }?.time }
        for stage in always where time(stage) == nil {
            throw CheckerFailure("stages", "\(node) committed \(trace.height) without \(stage.name)")
        }
        for (before, after) in ordered {
            guard let first = time(before), let second = time(after), second < first else { continue }
            throw CheckerFailure(
                "stages", "\(node) passed \(after.name) of \(trace.height) before \(before.name)")
        }
    }
}
