import Bytes
import Collections
import Crypto
import Log
import Reactor

/// Unconfirmed transactions survive an orderly stop: the node writes them to a file, own clients' first, and the next
/// start passes them through the same checks as any other.
extension MempoolService {
    /// The progress of reading back the file.
    enum Restoration {
        /// The file has not been read yet, or could not be.
        case reading
        /// These transactions have not been checked yet.
        case checking(Deque<MempoolFile.Entry>)
        case over
    }

    private var file: MempoolFile? { context.configuration.mempool.isEnabled ? context.mempoolFile : nil }

    /// Passes the kept transactions to the mempool, batch by batch.
    func beginRestoring() {
        guard let file else { return }
        restoration = .reading
        Reactor.spawn {
            do {
                let kept = try await self.context.serving.run { try file.read() }
                guard !self.isStopped else { return }
                var rest: Deque<MempoolFile.Entry> = []
                rest.append(contentsOf: kept)
                self.restoration = .checking(rest)
            } catch MempoolFile.Failure.file(.system(let code)) {
                // The file stays, because a later start may be able to read it.
                return self.context.log.warning(
                    "the unconfirmed transactions of the last run cannot be read",
                    ["file": .text(file.path), "reason": .text(SystemErrorText.of(code))])
            } catch let error as MempoolFile.Failure {
                self.restoration = .over
                return await self.warnOfLoss(file, error)
            } catch {
                return
            }
            await self.restore(file)
        }
    }

    private func warnOfLoss(_ file: MempoolFile, _ error: MempoolFile.Failure) async {
        let kept = try? await context.serving.run { file.setAside() }
        context.log.warning(
            "the unconfirmed transactions of the last run are lost",
            [
                "file": .text(file.path), "reason": .error(error),
                "kept": .text(kept ?? "nowhere"),
            ])
    }

    private func restore(_ file: MempoolFile) async {
        var kept = 0
        var read = 0
        while case .checking(var rest) = restoration, !rest.isEmpty, !isStopped {
            let batch = Array(rest.prefix(Self.batch))
            let others = batch.filter { !$0.isOwn }.map { (id: Hash.sha256(of: $0.bytes), bytes: $0.bytes) }
            var outcomes = await submit(batch.filter(\.isOwn).map(\.bytes))
            outcomes += await take(others)
            kept += outcomes.count { if case .success = $0 { true } else { false } }
            // The node stopped meanwhile: the batch is written again, whatever its state.
            guard !isStopped else { return }
            read += batch.count
            rest.removeFirst(batch.count)
            restoration = .checking(rest)
        }
        guard !isStopped else { return }
        restoration = .over
        if read > 0 {
            context.log.info(
                "unconfirmed transactions of the last run restored",
                ["kept": .number(kept), "of": .number(read)])
        }
        _ = try? await context.serving.run { try file.write([]) }
    }

    /// Writes the unconfirmed transactions to the file.
    func keep() async {
        guard let file else { return }
        let unchecked = checks.items
        let kept = try? await driver.ask { mempool, _, _ in
            mempool.all.map { MempoolFile.Entry(isOwn: $0.isOwn, bytes: $0.transaction.bytes) }
                + unchecked.map { MempoolFile.Entry(isOwn: $0.isOwn, bytes: $0.bytes) }
        }
        guard var entries = kept else { return }
        var isRead = true
        switch restoration {
        case .reading: isRead = false
        case .checking(let rest): entries += rest
        case .over: break
        }
        do {
            let count = try await context.serving.run { [entries, isRead] in
                try isRead ? file.write(entries.ownFirst) : file.add(entries)
            }
            if count > 0 {
                context.log.info(
                    "unconfirmed transactions kept for the next start", ["count": .number(count)])
            }
        } catch {
            context.log.warning(
                "unconfirmed transactions cannot be kept for the next start",
                ["file": .text(file.path), "reason": .error(error)])
        }
    }
}
