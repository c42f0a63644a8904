"""The strategies that are compared: who asks whom for which chunk, and when it asks somebody else."""

import math
from collections import deque

from .spread import HOP, OF_SHARE, PATIENCE

# Bytes a second that one coefficient of GF(2^8) multiplies: a block of k + p chunks takes p passes over its bytes. Intel's "ISA-L
# Erasure Code and Recovery" (2017) says tens of gigabytes a second for a core; ec_encode_data of ISA-L 2.30 took 7.6 ms for 125 and
# 32 chunks of 50 KB and 31 ms for 125 and 63, 13 to 27 GB/s.
CODING = 20e9
# Bytes a second of SHA-256 with the processor's instructions for it, which the proofs of chunks take.
HASHING = 1.5e9
# Reed-Solomon over GF(2^8) has codes of at most so many chunks.
LONGEST = 255
# How much longer than the own share the others may take, in seconds.
CAP = 0.5
# The round of a mesh after which validators ask any peer.
LATE = 8


class Strategy:
    """What a strategy decides. Chunks are transactions, all of which are needed."""

    name = ""
    # The leader sends chunks unasked.
    pushes = False
    # Uplinks serve one receiver after another.
    in_turn = False
    # Validators ask elsewhere after a time-out.
    waits = True
    # Seconds without a chunk after which they do, plus a share of the time that the own share took.
    patience = PATIENCE
    # Whoever is asked in a later round for what it lacks asks for it at once, not in its own time.
    is_eager = True
    # Whoever lies or is late is not asked again.
    shuns = False
    # Not all chunks are needed.
    has_spare = False
    # Seconds before the leader begins, and from the last chunk to the block.
    preparation = completion = 0.0
    # Validators on the longest way from the leader.
    depth = 1

    def prepare(self, world, block):
        self.world, self.leader, self.count, self.chunk = world, world.leader, block.count, block.chunk
        # How many chunks are needed of each stripe.
        self.stripes, self.needed = 1, self.count
        self.routes = Routes(world) if world.peers else None

    def remembered(self):
        """Whom nobody asks from the beginning."""
        return set()

    def wanted(self, spread, node):
        return [place for place, has in enumerate(spread.have[node]) if not has]

    def source(self, node, place, number):
        """Of whom a node asks a place in a round, 1 being the first."""
        return self.routes.back(node, place, number) if self.routes else self.leader

    def due(self, spread, node):
        """When the next round begins, if nothing comes until then."""
        if spread.own[node]:
            # The leader is still sending the node's share.
            return spread.net.now + self.patience
        patience = self.patience + OF_SHARE * spread.took[node]
        if spread.round[node] == 1 and spread.last[node] == spread.begin[node]:
            patience += HOP * self.depth
        return spread.last[node] + patience


class Compact(Strategy):
    """Today's way: each validator asks the leader for everything."""

    name = "compact"
    in_turn = True

    @property
    def waits(self):
        return bool(self.world.peers)


class Plain(Strategy):
    """The leader sends the whole block to each, one after another."""

    name = "plain"
    pushes = in_turn = True
    waits = False


class Tree(Strategy):
    """Each validator asks one other for everything, and is asked by up to `fan_out`; chunks are passed on as they come."""

    def __init__(self, fan_out):
        self.fan_out, self.name = fan_out, f"tree of {fan_out}"

    def prepare(self, world, block):
        super().prepare(world, block)
        if world.peers:
            self.above, self.depth = spanning(world, self.fan_out)
        else:
            self.above = [(node - self.fan_out) // self.fan_out if node >= self.fan_out else self.leader
                          for node in range(world.validators)]
            self.depth = math.ceil(math.log(world.validators + 1, self.fan_out))

    def source(self, node, place, number):
        return self.above[node] if number == 1 else super().source(node, place, number)


class Shares(Strategy):
    """Each place has a keeper, which gets it from the leader and gives it to all who ask. With `keepers`, only so many validators
    keep. With `fan_out`, a keeper gives only to so many, which pass it on to as many: a tree for each place, with other
    validators near its root. After `rounds` rounds, each with another keeper, the leader is asked.

    `rule` says when a round ends: "capped", when nothing has come for a while since the own share is complete, or when the others
    take 500 ms longer than it; "share", a while after the own share is complete; "quiet", when nothing
    has come for a while; "most", when nothing has come for a while, or a while after three quarters have come; or "capped-most",
    likewise, but not later than "capped" allows.

    `second` says who keeps in the second round: "spread", another for each place of a keeper, or "quotient", place / m mod m.
    `remembers` says what happens to keepers that failed in an earlier block: None, nothing; "skip", they are not asked; or "next",
    the next keeper is asked instead.
    """

    def __init__(self, keepers=None, fan_out=None, rounds=2, rule="capped", second="spread", patience=PATIENCE, is_eager=False,
                 remembers=None, name="shares"):
        self.most_keepers, self.fan_out, self.rounds, self.name = keepers, fan_out, rounds, name
        self.rule, self.second, self.patience, self.is_eager, self.remembers = rule, second, patience, is_eager, remembers

    def remembered(self):
        return {node for node, fault in enumerate(self.world.faults) if fault} if self.remembers == "skip" else set()

    def prepare(self, world, block):
        super().prepare(world, block)
        # In a mesh, only the leader's peers can keep.
        self.keepers = world.peers[self.leader] if world.peers else range(world.validators)
        # There, who is late may only be far behind one who is.
        self.shuns = not world.peers and not self.has_spare
        if self.most_keepers:
            self.keepers = self.keepers[:self.most_keepers]
        self.arrange(world)

    def arrange(self, world):
        """Lays the trees for the number of chunks."""
        count = len(self.keepers)
        # So that all validators are near a root equally often.
        self.stride = max(1, count // self.count)
        self.fan = self.fan_out or count
        self.depth = 1 + math.ceil(math.log(world.validators, max(2, self.fan)))

    def root(self, place, number):
        """Which keeper gets a place from the leader in a round."""
        count = len(self.keepers)
        first = place * self.stride % count
        if number == 1 or count == 1:
            return first
        if self.second == "quotient" and number == 2:
            return place // count % count
        return (first + 1 + (place // count + (number - 2) * (count // 7 + 1)) % (count - 1)) % count

    def source(self, node, place, number):
        if number > self.rounds:
            return super().source(node, place, number)
        root = self.root(place, number)
        while self.remembers == "next" and self.world.faults[self.keepers[root]]:
            number += 1
            root = self.root(place, number)
        keeper = self.keepers[root]
        if keeper == node:
            return self.leader
        if self.routes:
            return self.routes.next(node, keeper, place + number)
        if not self.fan_out:
            return keeper
        return (root + ((node - root) % self.world.validators - 1) // self.fan) % self.world.validators

    def due(self, spread, node):
        if spread.own[node]:
            return super().due(spread, node)
        if self.rule == "capped":
            complete = spread.begin[node] + spread.took[node]
            quiet = max(spread.last[node], complete) + self.patience + OF_SHARE * spread.took[node]
            return min(quiet, complete + spread.took[node] + CAP)
        if self.rule == "share" and spread.round[node] == 1:
            return spread.begin[node] + spread.took[node] * (1 + OF_SHARE) + self.patience
        due = super().due(spread, node)
        if self.rule == "capped-most":
            due = min(due, spread.begin[node] + 2 * spread.took[node] + CAP)
        if self.rule in ("most", "capped-most") and spread.round[node] == 1 and spread.most[node]:
            due = min(due, spread.most[node] + OF_SHARE * (spread.most[node] - spread.begin[node]) + self.patience)
        return due


class Coded(Shares):
    """Shares of `ratio` times as many chunks as the block has, any of which suffice, each with a Merkle path. What has more than
    255 chunks is divided into codes of as many, whose chunks take turns. If there are more keepers than chunks, each gives only to
    `beyond` validators."""

    has_spare = True

    def __init__(self, ratio, beyond=None):
        super().__init__(name=f"coded, {ratio:g}", rounds=3, rule="most", is_eager=True)
        self.ratio, self.beyond = ratio, beyond

    def prepare(self, world, block):
        super().prepare(world, block)
        self.stripes = math.ceil(block.count * self.ratio / LONGEST)
        self.needed = math.ceil(block.count / self.stripes)
        longest = math.ceil(self.needed * self.ratio)
        self.count = longest * self.stripes
        size = math.ceil(block.size / self.stripes / self.needed)
        self.chunk = size + 4 + 32 * math.ceil(math.log2(self.count))
        coding = (longest - self.needed) * block.size / CODING
        self.preparation = coding + self.count * size / HASHING
        # At worst: as many chunks are missing as may be.
        self.completion = coding
        if self.beyond and len(self.keepers) > self.count:
            self.fan_out = self.beyond
        self.arrange(world)

    def wanted(self, spread, node):
        missing = super().wanted(spread, node)
        if spread.round[node] == 1 or not missing:
            return missing
        # As many as are needed, each node beginning elsewhere.
        lacks, chosen = list(spread.lacks[node]), []
        begin = node % len(missing)
        for place in missing[begin:] + missing[:begin]:
            if lacks[place % self.stripes]:
                lacks[place % self.stripes] -= 1
                chosen.append(place)
        return chosen


class Routes:
    """The shortest ways through a mesh."""

    def __init__(self, world):
        self.world, self.distances, self.nearer = world, {}, {}

    def next(self, node, target, variant):
        """The next of a node's peers on one of the shortest ways to a target."""
        found = self.nearer.get((node, target))
        if found is None:
            if target not in self.distances:
                self.distances[target] = self.measure(target)
            far = self.distances[target]
            found = [peer for peer in self.world.peers[node] if far[peer] == far[node] - 1]
            self.nearer[node, target] = found
        # The leader relays nothing: it has sent everything already.
        ways = found
        if target != self.world.leader:
            ways = [peer for peer in found if peer != self.world.leader] or [self.world.leader]
        return ways[(variant * 7 + node) % len(ways)]

    def back(self, node, place, number):
        """Of whom a node asks a place towards the leader; in late rounds any peer, since all on that way may be faulty."""
        if number <= LATE:
            return self.next(node, self.world.leader, place + number)
        peers = self.world.peers[node]
        return peers[(node + place * 7 + number) % len(peers)]

    def measure(self, target):
        """Each node's hops to a target. The leader is no relay on the way to others."""
        far = [math.inf] * (self.world.validators + 1)
        far[target] = 0
        queue = deque([target])
        while queue:
            node = queue.popleft()
            for peer in self.world.peers[node]:
                if far[peer] == math.inf and (peer != self.world.leader):
                    far[peer] = far[node] + 1
                    queue.append(peer)
        return far


def spanning(world, fan_out):
    """A tree in a mesh, in which few nodes have more than `fan_out` children: of whom each validator asks, and the tree's depth."""
    above, depth, queue = {world.leader: None}, {world.leader: 0}, deque([world.leader])
    full = []
    while len(above) <= world.validators:
        node, most = (queue.popleft(), fan_out) if queue else (full.pop(0), len(above))
        for peer in world.peers[node]:
            if peer not in above and most:
                above[peer], depth[peer], most = node, depth[node] + 1, most - 1
                queue.append(peer)
        full.append(node)
    return [above[node] for node in range(world.validators)], max(depth.values())
