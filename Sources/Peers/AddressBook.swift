import LibP2P
import Log
import Reactor

/// Saves the address book when the node stops. `PeerStore` saves changes meanwhile.
@ReactorActor
package final class AddressBook: Service {
    private let store: PeerStore
    private let log: Log

    package init(_ store: PeerStore, log: Log) {
        self.store = store
        self.log = log
    }

    /// Starts before the host and stops after it, so that the saved book includes the last connection.
    package func run() async throws {
        try await ServiceEnd().wait()
        do {
            try await store.close()
        } catch {
            log.warning("address book not saved", ["reason": .error(error)])
        }
    }
}
