import VirtualIO

/// Cutting and restoring links between machines, in both directions.
extension World {
    /// Cuts the links between two groups, or restores them.
    func part(_ some: [SimulatedNode], from others: [SimulatedNode], _ isCut: Bool) {
        let link = isCut ? VirtualNetwork.Link(isCut: true) : nil
        for one in some {
            for other in others where other !== one {
                network.setLink(from: one.setup.address, to: other.setup.address, link)
                network.setLink(from: other.setup.address, to: one.setup.address, link)
            }
        }
    }

    /// Cuts the links between two machines, or restores them.
    func cut(_ one: SimulatedNode, _ other: SimulatedNode, _ isCut: Bool = true) {
        part([one], from: [other], isCut)
    }

    /// Cuts the links between a machine and others.
    func cut(_ machine: SimulatedNode, from others: [SimulatedNode]) { part([machine], from: others, true) }

    /// Restores the links between a machine and others.
    func heal(_ machine: SimulatedNode, with others: [SimulatedNode]) { part([machine], from: others, false) }

    /// Cuts a machine's links to all others, or restores them.
    func isolate(_ machine: SimulatedNode, _ isCut: Bool) { part([machine], from: nodes, isCut) }
}
