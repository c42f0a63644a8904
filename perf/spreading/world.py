"""Where nodes are, and how long a bit travels between them."""

import random

# Average round trips between regions of IBM Cloud from 19 October to 17 November 2024, in milliseconds, each the mean of both
# directions: "Network latency dashboards" of the documentation of IBM Cloud VPC (github.com/ibm-cloud-docs/vpc,
# _include-segments/network-latency.md).
REGIONS = ["Dallas", "Toronto", "Washington", "Frankfurt", "London", "Madrid", "Osaka", "Sydney", "Tokyo", "Sao Paulo"]
ROUND_TRIPS = [
    [33.5],
    [31, 19],
    [123, 92.5, 90.5],
    [113, 83, 75.5, 13],
    [119, 105.5, 87, 29, 27],
    [148.5, 170, 175, 232.5, 244, 258.5],
    [185, 214, 213, 250, 261, 275.5, 122],
    [142.5, 162.5, 167.5, 230, 243.5, 255.5, 9, 115],
    [144, 131, 118.5, 198, 188, 207, 291, 327, 286],
]
# The same source gives about 2 ms between zones of a region.
WITHIN = 2.0


def one_way():
    """Seconds from region to region."""
    count = len(REGIONS)
    table = [[WITHIN / 2e3] * count for _ in range(count)]
    for row, times in enumerate(ROUND_TRIPS, 1):
        for column, time in enumerate(times):
            table[row][column] = table[column][row] = time / 2e3
    return table


def shortest(table):
    """Seconds on the shortest way over other regions, which is what bounds any relay."""
    best = [list(row) for row in table]
    for via in range(len(best)):
        for row in best:
            for to, time in enumerate(best[via]):
                row[to] = min(row[to], row[via] + time)
    return best


LATENCY = one_way()
SHORTEST = shortest(LATENCY)


class World:
    """Validators 0 to n-1 and the leader, n, in regions drawn at random, some of the validators faulty.

    `faults` is a kind, "slow", "silent" or "lying", with the share of the validators that have it: at least one. A slow node has a
    tenth of the bandwidth each way. A silent one asks and takes like others but sends nothing. A lying one answers each request at
    once with wrong bytes. The leader is sound, and has the bandwidth of the others.
    """

    def __init__(self, seed, validators, bandwidth, faults=None, degree=None):
        draw = random.Random(f"{seed} {validators}")
        self.validators, self.leader, self.bandwidth = validators, validators, bandwidth
        self.regions = [draw.randrange(len(REGIONS)) for _ in range(validators + 1)]
        self.faults = [None] * (validators + 1)
        if faults:
            kind, share = faults
            for node in draw.sample(range(validators), max(1, round(share * validators))):
                self.faults[node] = kind
        self.rates = [bandwidth / 10 if fault == "slow" else bandwidth for fault in self.faults]
        self.sound = [node for node in range(validators) if not self.faults[node]]
        self.peers = self.mesh(draw, degree) if degree else None

    def mesh(self, draw, degree):
        """Each node's peers, about `degree` each: half of them dialled at random. The leader is connected to no more than others."""
        nodes = self.validators + 1
        peers = [set() for _ in range(nodes)]
        for node in range(nodes):
            while len(peers[node]) < degree // 2:
                peer = draw.randrange(nodes)
                if peer != node:
                    peers[node].add(peer)
        for node in range(nodes):
            for peer in list(peers[node]):
                peers[peer].add(node)
        return [sorted(some) for some in peers]

    def latency(self, a, b):
        return LATENCY[self.regions[a]][self.regions[b]]

    def bound(self, size):
        """Seconds until the last sound validator can have `size` bytes, if every uplink is always busy with the right ones: the
        leader sends each byte once at least, a validator receives each, and all uplinks together send them to all sound ones."""
        uplinks = self.bandwidth + sum(
            rate for rate, fault in zip(self.rates, self.faults[:-1]) if fault not in ("silent", "lying"))
        way = max(SHORTEST[self.regions[self.leader]][self.regions[node]] for node in self.sound)
        return way + max(size / self.bandwidth, len(self.sound) * size / uplinks)
