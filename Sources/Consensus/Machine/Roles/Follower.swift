extension Role {
    /// A node that neither leads nor votes. It has no state of its own: like every node it follows committed blocks
    /// (`ConsensusMachine+Following`).
    struct Follower: Sendable {}
}
