"""The part `sync` of perf/bench: how fast a new node gets an old chain from one peer, with storage on."""

import functools
import os
import shutil
import time

from rig import report
from rig.chain import Chain, initialize
from rig.node import PATIENCE, Node
from rig.part import Figure, Part
from rpcbench.part import Failure

# Between two looks at the new node.
PAUSE = 0.02


class Sync(Part):
    """The sync of a chain. A subclass says what its blocks hold."""

    unit = "blocks"
    sizes = [10_000]
    short_sizes = [2_000]
    application = "noop"
    # The transactions of a block, and the bytes of each one's text, at least.
    transactions = 1
    bytes = 0
    figures = {
        "blocks": Figure("rate", "blocks/s", is_more_better=True),
        "bytes": Figure("rate of the block log", "MB/s", is_more_better=True),
        "share": Figure("the same / C program", "", is_more_better=True),
        "new": Figure("processor time of the new node", "µs/block"),
        "old": Figure("processor time of the old node", "µs/block"),
    }

    def __init__(self, space, ceiling):
        super().__init__(space)
        self.ceiling = ceiling

    def measure(self, size):
        chain = Chain(self.space, self.transactions, self.bytes, self.application)
        try:
            root = chain.copy(size)
        finally:
            chain.end()
        before = self.ceiling()
        found = self.synced(root, size)
        found["share"] = found["bytes"] / 1e3 / ((before + self.ceiling()) / 2)
        shutil.rmtree(root)
        return found

    def synced(self, root, size):
        """Lets a new node get the chain of `root`."""
        fresh = os.path.join(self.space.directory, "new")
        old = Node(self.space.apus, root)
        old.pace("24h")
        old.start()
        initialize(self.space, fresh, "--genesis", os.path.join(root, "genesis.json"), "--bootnode",
                   f"{old.node_id}@{old.p2p}")
        new = Node(self.space.apus, fresh)
        new.set("application", self.application)
        try:
            before = old.processor_seconds()
            new.start()
            looks = [(time.monotonic(), new.status()["height"])]
            while looks[-1][1] < size:
                if time.monotonic() > looks[0][0] + PATIENCE:
                    raise Failure(f"only {looks[-1][1]} of {size} blocks are there after {PATIENCE} s")
                time.sleep(PAUSE)
                looks.append((time.monotonic(), new.status()["height"]))
            # From the last look before the first block.
            start = max((look for look in looks if look[1] == looks[0][1]), key=lambda look: look[0])
            rate = (looks[-1][1] - start[1]) / (looks[-1][0] - start[0])
            log = os.path.join(root, "blocks")
            written = sum(os.path.getsize(os.path.join(log, name)) for name in os.listdir(log) if name.endswith(".blocks"))
            return {"blocks": rate, "bytes": rate * written / size / 1e6,
                    "new": 1e6 * new.processor_seconds() / size, "old": 1e6 * (old.processor_seconds() - before) / size}
        finally:
            new.stop()
            old.stop()
            shutil.rmtree(fresh, ignore_errors=True)


class Empty(Sync):
    name = "sync-empty"
    title = "empty blocks, application noop"
    sizes = [30_000]
    transactions = 0
    figures = {**Sync.figures, "blocks": Figure("rate", "blocks/s", target=30_000, is_more_better=True)}


class Small(Sync):
    name = "sync-small"
    title = "blocks of one transaction, application noop"


class SQL(Sync):
    name = "sync-sql"
    title = "blocks of one transaction, application sql"
    application = "sql"


class Large(Sync):
    name = "sync-large"
    title = "blocks of 1 MB, application noop"
    sizes = [400]
    short_sizes = [50]
    transactions = 20
    bytes = 50_000
    figures = {**Sync.figures, "share": Figure("the same / C program", "", target=0.7, is_more_better=True)}


def run(apus, simulator, ceiling, is_short, output):
    """Runs all parts. `ceiling` returns the rate of one encrypted stream, in GB/s."""
    kinds = [functools.partial(kind, ceiling=ceiling) for kind in (Empty, Small, SQL, Large)]
    report.run("sync", kinds, apus, simulator, is_short, output)
