extension Role {
    /// A node that neither leads nor votes. It has no state of its own: like every node it takes committed blocks
    /// (`ConsensusMachine+Following`).
    struct Follower: Sendable {}
}
