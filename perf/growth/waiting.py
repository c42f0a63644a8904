"""Transactions that wait: refusals by a full mempool, the hand-over to a leader that returns, and the cost at low rates."""

import os
import time

from rig.chain import CHAIN_ID, initialize
from rig.node import Node, until
from rig.part import Figure, Part
from rpcbench import signing
from rpcbench.part import Failure

# Transactions in one request.
BATCH = 100


def signed(first, count):
    """Transactions of an account each, in batches."""
    ready = [signing.broadcast(number, CHAIN_ID) for number in range(first, first + count)]
    return [ready[start:start + BATCH] for start in range(0, count, BATCH)]


class Waiting(Part):
    """Parts with nodes that `measure` adds to `self.nodes`."""

    unit = "waiting transactions"

    def __init__(self, space):
        super().__init__(space)
        self.nodes = []

    def node(self, size, name, *options):
        """Makes a node, stopped at first, with options of `apus init`."""
        root = os.path.join(self.space.directory, f"{name}-{size}")
        initialize(self.space, root, *options)
        node = Node(self.space.apus, root)
        self.nodes.append(node)
        return node

    def network(self, size):
        """A leader, and a sentry that follows it, both started and connected."""
        leader = self.node(size, "leader")
        sentry = self.node(
            size, "sentry", "--genesis", os.path.join(leader.root, "genesis.json"), "--bootnode",
            f"{leader.node_id}@{leader.p2p}")
        leader.start()
        sentry.start()
        until(lambda: sentry.status()["peers"] == 1, "the sentry finds no leader")
        return leader, sentry

    def end(self):
        for node in self.nodes:
            node.stop()
        self.nodes = []


class Refusal(Waiting):
    name = "full"
    title = "processor time for a transaction that a full mempool refuses, JSON-RPC included, by the mempool's size"
    sizes = [1_000, 10_000, 50_000]
    short_sizes = [1_000, 10_000]
    figures = {
        "refused": Figure("a refused transaction", "µs", ratio=1.5),
        "accepted": Figure("an accepted transaction", "µs", ratio=1.5),
    }
    # Refusals that are measured.
    REFUSED = 5_000

    def measure(self, size):
        node = self.node(size, "node")
        node.set("propose_timeout", "24h")
        node.set("max_transactions", size)
        node.start()
        # The first block comes at once, the second after a day.
        first, = signed(size + self.REFUSED, BATCH)
        node.send(first)
        node.drain()
        fill, more = signed(0, size), signed(size, self.REFUSED)
        accepted = self.cost(node, fill, size, size)
        refused = self.cost(node, more, self.REFUSED, 0)
        self.end()
        return {"refused": refused, "accepted": accepted}

    @staticmethod
    def cost(node, batches, count, expected):
        before = node.processor_seconds()
        taken = sum(node.send(batch) for batch in batches)
        if taken != expected:
            raise Failure(f"{taken} of {count} transactions are accepted instead of {expected}")
        return (node.processor_seconds() - before) / count * 1e6


class HandOver(Waiting):
    name = "hand-over"
    title = "time until a leader that returns has committed what waits at its only peer"
    sizes = [1_000, 10_000, 50_000]
    short_sizes = [1_000, 10_000]
    figures = {
        "each": Figure("time for each transaction", "ms", ratio=2),
        "all": Figure("time for all", "s"),
    }

    def measure(self, size):
        leader, sentry = self.network(size)
        leader.stop()
        for batch in signed(0, size):
            sentry.send(batch)
        leader.start()
        until(lambda: sentry.status()["peers"] == 1, "the leader does not return")
        begin = time.monotonic()
        sentry.drain()
        seconds = time.monotonic() - begin
        self.end()
        return {"each": seconds / size * 1e3, "all": seconds}


class Spacing(Waiting):
    name = "spacing"
    title = "a leader's cost for each transaction that a peer passes on, by the time between two transactions"
    unit = "ms between two transactions"
    sizes = [1, 10]
    short_sizes = [1, 10]
    figures = {
        "processor": Figure("processor time", "ms", ratio=4, target=0.3),
        "switches": Figure("context switches", "", ratio=10),
    }
    # How long transactions are sent, in seconds.
    SENDING = 10

    def measure(self, size):
        leader, sentry = self.network(size)
        count = self.SENDING * 1_000 // size
        ready = [signing.broadcast(number, CHAIN_ID) for number in range(count)]
        processor, switches = leader.processor_seconds(), leader.switches()
        begin = time.monotonic()
        for number, one in enumerate(ready):
            time.sleep(max(0, begin + number * size / 1_000 - time.monotonic()))
            sentry.send([one])
        sentry.drain()
        figures = {
            "processor": (leader.processor_seconds() - processor) / count * 1e3,
            "switches": (leader.switches() - switches) / count,
        }
        self.end()
        return figures
