import Chain
import LibP2P
import Metrics
import Reactor

extension Node {
    /// Returns the node's metrics in Prometheus's text format, version 0.0.4, with its present state.
    public nonisolated func metrics() async -> [UInt8] {
        await home.perform { self.observe() }
        return context.metrics.registry.text()
    }

    /// Adds the metrics of what exists beside the services.
    func addMetrics() {
        let metrics = context.metrics
        home.metrics.add(to: metrics.registry, loop: "peers")
        metrics.registry.gauge(
            "apus_build_info", "1, with the version and the interface to the kernel.",
            ("version", NodeVersion.text), ("reactor", Reactor.driverDescription)
        ).set(1)
        for worker in context.workers { metrics.add(worker) }
        add(consensus.driver.waits, of: .consensus)
        add(mempool.driver.waits, of: .mempool)
        add(
            context.traces.blocks.histograms, "apus_block_stage_seconds",
            "Time that each stage of a block takes (docs/operate/tracing.md).")
        add(
            context.traces.transactions.histograms, "apus_transaction_stage_seconds",
            "Time that each stage of a transaction takes (docs/operate/tracing.md).")
    }

    private func add(_ waits: Histogram, of machine: MachineName) {
        context.metrics.registry.add(
            waits, "apus_machine_queue_seconds", "Time that events waited for a machine.",
            ("machine", machine.label))
    }

    private func add<Stage>(_ stages: StageHistograms<Stage>, _ name: String, _ help: String) {
        for stage in Stage.allCases where !stage.predecessors.isEmpty {
            context.metrics.registry.add(
                stages.histogram(of: stage), name, help, ("stage", "\(stage.name)"))
        }
    }

    /// Sets the metrics that show a state.
    private func observe() {
        let (metrics, view, host) = (context.metrics, consensus.view, context.host)
        let state = view.state
        let now = context.wallClock()
        metrics.height.set(state.height)
        let age = state.timestamp > 0 && now > state.timestamp ? now - state.timestamp : 0
        metrics.tipAge.set(Int64(clamping: age))
        metrics.isSyncing.set(view.isSyncing ? 1 : 0)
        metrics.isReady.set(currentStatus().isHealthy ? 1 : 0)
        for role in RoleName.allCases { metrics.roles[role].set(role == view.role ? 1 : 0) }
        metrics.validators.set(Int64(state.validators.count))
        metrics.connections[.inbound].set(Int64(host.use.inbound))
        metrics.connections[.outbound].set(Int64(host.use.connections - host.use.inbound))
        metrics.bytesHeld.set(Int64(host.use.held))
        metrics.mempoolTransactions.set(Int64(mempool.contents.count))
        metrics.mempoolBytes.set(Int64(mempool.contents.bytes))
        metrics.machineEvents[.consensus].set(Int64(consensus.driver.depth))
        metrics.machineEvents[.mempool].set(Int64(mempool.driver.depth))
        metrics.machinePeaks[.consensus].set(Int64(consensus.driver.peakDepth))
        metrics.machinePeaks[.mempool].set(Int64(mempool.driver.peakDepth))
        metrics.commitWaits.set(Int64(commitWaiters.transactions))
        observePeers()
        observeGossip()
    }

    private func observePeers() {
        let (state, linked) = (consensus.view.state, peers.directions)
        let validators = Set(state.validators.keys.map(\.peerID))
        for direction in Direction.allCases {
            var counts: (leader: Int64, validator: Int64, sentry: Int64) = (0, 0, 0)
            for peer in linked where peer.direction == direction {
                if peer.id == state.leader?.peerID {
                    counts.leader += 1
                } else if validators.contains(peer.id) {
                    counts.validator += 1
                } else {
                    counts.sentry += 1
                }
            }
            let gauges = context.metrics.peers[direction]
            gauges[.leader].set(counts.leader)
            gauges[.validator].set(counts.validator)
            gauges[.sentry].set(counts.sentry)
        }
    }

    private func observeGossip() {
        let (metrics, counts) = (context.metrics, consensus.gossip.counters)
        metrics.gossipMessages[.accepted].raise(to: counts.accepted)
        metrics.gossipMessages[.ignored].raise(to: counts.ignored)
        metrics.gossipMessages[.rejected].raise(to: counts.rejected)
        metrics.gossipMessages[.overflowed].raise(to: counts.overflowed)
        metrics.gossipMessages[.duplicate].raise(to: counts.duplicates)
        metrics.duplicates[.gossip].raise(to: counts.duplicates)
    }
}
