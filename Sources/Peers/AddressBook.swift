import LibP2P
import Log
import Reactor

/// Keeps the address book on disk while the node runs, and writes it a last time at the end.
@ReactorActor
package final class AddressBook: Service {
    private let store: PeerStore
    private let log: Log

    package init(_ store: PeerStore, log: Log) {
        self.store = store
        self.log = log
    }

    /// Runs from before the host's first connection until after its last one.
    package func run() async throws {
        try await ServiceEnd().wait()
        do {
            try await store.close()
        } catch {
            log.warning("address book not saved", ["reason": .error(error)])
        }
    }
}
