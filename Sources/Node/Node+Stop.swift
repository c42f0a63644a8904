import Reactor
import Storage

/// Stopping a node: in order, or as in a crash.
extension Node {
    /// Stops the services, the host and the workers. Returns when the stores are closed.
    public nonisolated func stop() async {
        await home.perform { await self.shutDown() }
    }

    private func shutDown() async {
        guard !isStopped else { return }
        isStopped = true
        await services.stop()
        await context.queries.stop()
        context.checks.stop()
        context.serving.stop()
        // Close the database even if the node is still referenced, so that no executed block keeps it locked.
        let application = context.application
        try? await context.execution.finish { application.close() }
        context.blocks.stop()
        context.accounts.stop()
        context.indexing.stop()
        let (store, log, latest) = (context.store, context.log, consensus.keeper.latest)
        do {
            try await context.storage.finish {
                do throws(StorageError) {
                    if let latest { try store.stateFile.write(latest.bytes) }
                } catch {
                    log.warning("chain state not kept", ["reason": .error(error)])
                }
                try store.close()
            }
        } catch {
            context.log.error("block log not closed", ["reason": .error(error)])
        }
        commitWaiters.stop()
        awaitingEnd.wakeAll()
    }

    /// Ends the node as a crash would: nothing more is written or sent, and all waits fail. The caller has cut off the
    /// disk and the network first.
    public func abandon() {
        guard !isStopped else { return }
        isStopped = true
        context.queries.abandon()
        for worker in context.workers { worker.abandon() }
        services.abandon()
        context.application.close()
        commitWaiters.stop()
        awaitingEnd.wakeAll()
    }
}
