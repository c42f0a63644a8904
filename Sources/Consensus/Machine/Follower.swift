extension Role {
    /// What a node keeps that neither leads nor votes: nothing. It takes what is committed (`ConsensusMachine+Following`), as
    /// the others do.
    struct Follower: Sendable {}
}
