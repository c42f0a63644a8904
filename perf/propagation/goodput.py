"""Transactions as fast as the leader takes them: what reaches the last node, and at what price in bytes."""

from rig.node import until
from rig.part import Figure, Part

from .network import TRANSACTION, Network, transactions
from .wires import Wires

# The bytes of all transactions, by the rate of the links in bits a second: enough for several blocks.
FAST, MANY, FEW = 10**9, 40_000_000, 20_000_000
MAX_BLOCK = 6 << 20
# Figures of the whole network, in MB/s and bytes a byte, by rate and nodes.
TARGETS = {(10**8, 4): (9, 1.4, 3.5), (10**8, 8): (8, 1.6, 8), (10**9, 4): (60, None, None)}


def named(rate, delay):
    bandwidth = f"{rate // 10**6}mbit" if rate < 10**9 else f"{rate // 10**9}gbit"
    return f"{bandwidth}-{delay:g}ms" if delay else bandwidth


class Goodput(Part):
    unit = "nodes"

    def __init__(self, rate, delay, nodes, space):
        super().__init__(space)
        self.rate, self.delay, self.sizes, self.short_sizes = rate, delay, nodes, nodes
        self.name = f"goodput-{named(rate, delay)}"
        self.title = f"50 KB transactions submitted to the leader, links of {named(rate, delay)}"
        goodput, leader, all_nodes = TARGETS.get((rate, nodes[-1]) if not delay else None, (None, None, None))
        self.figures = {
            "goodput": Figure("goodput", "MB/s", target=goodput, is_more_better=True),
            "one_copy": Figure("bound if the leader sends one copy", "MB/s", is_more_better=True),
            "copies": Figure("bound if it sends one to each", "MB/s", is_more_better=True),
            "leader": Figure("sent by the leader", "bytes a byte", target=leader),
            "all": Figure("sent by all", "bytes a byte", target=all_nodes),
            **exchange_figures(),
        }

    def measure(self, size):
        total = MANY if self.rate >= FAST else FEW
        count = total // TRANSACTION
        requests = transactions(count, TRANSACTION)
        with Wires(size, self.rate, self.delay) as wires, \
                Network(self.space, wires, MAX_BLOCK, {"propose_timeout": "100ms"}) as network:
            before = network.traffic()
            begin = network.submit(requests, count)
            until(lambda: network.leader.status()["mempool_transactions"] == 0, "transactions are not committed", pause=0.1)
            height = network.leader.status()["height"]
            network.reach(height)
            sent = network.traffic() - before
            seconds = max(trace["stages"]["committed"] for trace in network.stages(height)) - begin
        return {
            "goodput": total / seconds / 1e6,
            "one_copy": self.rate / 8e6,
            "copies": self.rate / 8e6 / (size - 1),
            "leader": sent.links[0] / total,
            "all": sum(sent.links) / total,
            **exchange(sent, count * (size - 1), TRANSACTION),
        }


def exchange_figures():
    """Figures of the exchange of transactions between mempools."""
    return {
        "fetched": Figure("sent on streams of transactions, for each node", "bytes a byte", target=1.3),
        "twice": Figure("transactions received twice", "of all"),
    }


def exchange(sent, fetched, size):
    """The same figures for `fetched` transactions of `size` bytes, counted at each node that lacked them."""
    return {"fetched": sent.transactions / (fetched * size), "twice": sent.duplicates / fetched}
