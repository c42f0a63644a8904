"""One block from its proposal on, by its size, with mempools that hold all, half or hardly any of its transactions."""

import statistics
import time

from rig.node import until
from rig.part import Figure, Part
from rpcbench.part import Failure

from .goodput import exchange, exchange_figures, named
from .network import TRANSACTION, Network, transactions
from .wires import Wires

# How many of a block's transactions the validators' mempools have room for (`mempool.max_transactions`).
MEMPOOLS = {"cold": lambda count: 1, "half": lambda count: count // 2, "warm": lambda count: count}
# A block has at least so many transactions, so that a cold mempool lacks most.
LEAST = 8
# What a node sends for a transaction besides its bytes: the kind and the length of its frame; and the size of a hash.
FRAME, HASH = 5, 32
# Room in a block beyond its transactions' nominal size.
MARGIN = 64 << 10
# The bytes a second that a network of processes on two cores can move, and those that the leader takes from a client.
PROCESSORS, SUBMITTING = 30e6, 10e6
# The time before the block's proposal beyond what the exchange of its transactions needs, in seconds.
SPARE = 3
# The exchange is over when no node sends more than so many bytes in so many seconds.
QUIET_BYTES, QUIET_SECONDS = 20_000, 0.3


class Block(Part):
    unit = "bytes of the block"

    def __init__(self, mempools, rate, delay, nodes, blocks, space):
        super().__init__(space)
        self.mempools, self.rate, self.delay, self.nodes = mempools, rate, delay, nodes
        self.sizes = self.short_sizes = blocks
        self.name = f"{mempools}-{nodes}-{named(rate, delay)}"
        self.title = f"one block, {mempools} mempools, a leader and {nodes - 1} validators, links of {named(rate, delay)}"
        self.figures = {
            "median": Figure("verified by the median validator", "ms"),
            "last": Figure("by the last", "ms"),
            "committed": Figure("committed by all", "ms"),
            "bound": Figure("bound if the leader sends one copy of what they lack", "ms"),
            "copies": Figure("bound if it sends the block to each", "ms"),
            "held": Figure("held by mempools before", "of the block"),
            "leader": Figure("sent by the leader", "bytes a byte"),
            "all": Figure("sent by all", "bytes a byte"),
        }
        if mempools != "cold":
            self.figures |= {
                "spread": Figure("mempools filled after", "s"),
                "spread_leader": Figure("sent by the leader for that", "bytes a byte"),
                "spread_all": Figure("sent by all for that", "bytes a byte"),
                **exchange_figures(),
                "hashes": Figure("hashes sent for each transaction fetched", ""),
            }

    def measure(self, size):
        count = max(LEAST, size // TRANSACTION)
        each = size // count
        room = max(1, MEMPOOLS[self.mempools](count))
        limits = {} if room == count else {"max_transactions": room}
        others = self.nodes - 1
        requests = transactions(count, each)
        # Before this time has passed since the first block, the leader does not propose the second.
        wait = SPARE + size / SUBMITTING
        if self.mempools != "cold":
            wait += 3 * others * size / min(self.rate / 8, PROCESSORS)
        settings = {"propose_timeout": f"{round(wait * 1000)}ms"}
        with Wires(self.nodes, self.rate, self.delay) as wires, \
                Network(self.space, wires, size + MARGIN, settings, limits) as network:
            before = network.traffic()
            begin = network.submit(requests, count)
            until(lambda: self.waiting(network) >= room * others, "mempools do not fill", pause=0.05)
            filled = time.monotonic() - begin
            spread = self.settled(network) - before
            held = self.waiting(network)
            between = network.traffic()
            if network.leader.status()["height"] != 1:
                raise Failure(f"the leader proposed before the transactions were exchanged in {wait:.1f} s")
            network.reach(2)
            sent = network.traffic() - between
            traces = network.stages(2)
        if traces[0]["transactions"] != count:
            raise Failure(f"the block has {traces[0]['transactions']} transactions instead of {count}")
        share = held / (others * count)
        begin = traces[0]["stages"]["proposed"]
        verified = [trace["stages"]["verified"] - begin for trace in traces[1:]]
        figures = {
            "median": statistics.median(verified) * 1e3,
            "last": max(verified) * 1e3,
            "committed": (max(trace["stages"]["committed"] for trace in traces) - begin) * 1e3,
            "bound": (1 - share) * size * 8 / self.rate * 1e3 + self.delay,
            "copies": others * size * 8 / self.rate * 1e3 + self.delay,
            "held": share,
            "leader": sent.links[0] / size,
            "all": sum(sent.links) / size,
        }
        if self.mempools != "cold":
            figures |= {
                "spread": filled, "spread_leader": spread.links[0] / size, "spread_all": sum(spread.links) / size,
                **exchange(spread, held, each),
                # Whatever is not a content frame consists of hashes, nearly.
                "hashes": (spread.transactions - (held + spread.duplicates) * (each + FRAME)) / HASH / held,
            }
        return figures

    @staticmethod
    def waiting(network):
        """How many transactions wait at all validators."""
        return sum(node.status()["mempool_transactions"] for node in network.validators)

    @staticmethod
    def settled(network):
        """Waits until the exchange of transactions is over. Returns the traffic so far."""
        last = network.traffic()
        while True:
            time.sleep(QUIET_SECONDS)
            now = network.traffic()
            if max((now - last).links) <= QUIET_BYTES:
                return now
            last = now
