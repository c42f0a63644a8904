"""One block on its way from the leader to all validators, by a strategy."""

from rpcbench.part import Failure

from .network import Network, wire

# A compact proposal without transactions: proposal, header and signature; and a short ID for each transaction.
PROPOSAL, SHORT_ID = 400, 6
# A request for places, besides its bitmap.
REQUEST = 40
# A validator asks elsewhere when nothing has come for so many seconds, and a share of the time that its own share took.
PATIENCE, OF_SHARE = 0.25, 0.25
# How long a chunk may take for each relay on its way, in seconds, before the first one has come.
HOP = 0.3


class Block:
    """Transactions of equal size."""

    def __init__(self, size, transaction):
        self.count = max(1, round(size / transaction))
        self.chunk = size // self.count
        self.size = self.count * self.chunk


class Spread:
    """Validators ask each place of the block, a chunk, from one node, named by the strategy: the leader, or another validator, which
    passes the chunk on when it comes. What has not come in time is asked from another node, in the next round.

    A run ends when nothing happens any more. `done` has the time at which each validator had the whole block, or None.
    """

    def __init__(self, world, block, strategy, slow_start=False):
        self.world, self.block, self.strategy = world, block, strategy
        self.net = Network(world, strategy.in_turn, slow_start)
        nodes = world.validators + 1
        self.leader = world.leader
        strategy.prepare(world, block)
        self.count, self.bytes, self.stripes = strategy.count, strategy.chunk, strategy.stripes
        self.have = [bytearray(self.count) for _ in range(nodes)]
        self.have[self.leader] = bytearray(b"\1" * self.count)
        # How many chunks a node lacks of each stripe.
        self.lacks = [[strategy.needed] * self.stripes for _ in range(nodes)]
        self.total = strategy.needed * self.stripes
        self.left = [self.total] * nodes
        # Who waits for a place at a node.
        self.waiting = [{} for _ in range(nodes)]
        # From whom a node expects each place, and since which round.
        self.asked = [{} for _ in range(nodes)]
        # Its round, when a chunk came last, and when it had three quarters of what it needs.
        self.round, self.last, self.most = [0] * nodes, [0.0] * nodes, [None] * nodes
        # In its round: how many chunks are still expected, and how many of them from the leader; when it asked, and how long
        # those took.
        self.expected, self.own = [0] * nodes, [0] * nodes
        self.begin, self.took = [0.0] * nodes, [0.0] * nodes
        # Whom it does not ask.
        self.shunned = [strategy.remembered() - {node} for node in range(nodes)]
        self.knows = [False] * nodes
        self.done = [None] * nodes
        self.useful, self.twice, self.wrong = [0] * nodes, [0] * nodes, [0] * nodes

    def run(self):
        self.knows[self.leader] = True
        self.net.at(self.strategy.preparation, self.propose)
        self.net.run()
        return self

    # The proposal.

    def propose(self):
        if self.strategy.pushes:
            for node in range(self.world.validators):
                self.answer(self.leader, node, range(self.count))
        else:
            self.announce(self.leader)

    def announce(self, node):
        """Sends the proposal to all validators, or the peers in a mesh."""
        others = self.world.peers[node] if self.world.peers else range(self.world.validators)
        for other in others:
            if not self.knows[other]:
                self.net.send(node, other, PROPOSAL + SHORT_ID * self.block.count, self.proposed, other)

    def proposed(self, node):
        if self.knows[node]:
            return
        self.knows[node] = True
        if self.world.peers and self.world.faults[node] not in ("silent", "lying"):
            self.announce(node)
        self.ask(node)
        if self.strategy.waits:
            self.check(node)

    # Requests.

    def ask(self, node):
        """Asks for what is missing, as the next round says."""
        number = self.round[node] = self.round[node] + 1
        self.last[node] = self.begin[node] = self.net.now
        wanted = self.strategy.wanted(self, node)
        self.request(node, wanted, number)
        sources = [self.asked[node].get(place, (None, 0)) for place in wanted]
        self.own[node] = sum(source == self.leader for source, _ in sources)
        self.expected[node] = self.own[node] + sum(since == number and source != self.leader for source, since in sources)
        self.took[node] = 2 * self.world.latency(node, self.leader)
        if not self.expected[node]:
            self.ask(node)

    def request(self, node, places, number):
        """Asks for places in a round, unless this has been done, or the leader is sending them already."""
        lists = {}
        for place in places:
            source, earlier = self.asked[node].get(place, (None, 0))
            if source != self.leader and earlier < number:
                source = self.strategy.source(node, place, number)
                if source in self.shunned[node]:
                    continue
                self.asked[node][place] = source, number
                lists.setdefault(source, []).append(place)
        for source, places in lists.items():
            self.net.tell(node, source, REQUEST + self.count // 8, self.requested, source, node, places, number)

    def requested(self, node, asker, places, number):
        """A node is asked for places."""
        fault = self.world.faults[node]
        if fault == "silent":
            return
        if fault == "lying":
            for place in places:
                self.net.send(node, asker, self.bytes, self.receive, asker, node, place, False)
            return
        have = self.have[node]
        self.answer(node, asker, [place for place in places if have[place]])
        missing = [place for place in places if not have[place]]
        for place in missing:
            self.waiting[node].setdefault(place, []).append(asker)
        # It may be asked before its own time-out.
        if number > 1 and self.strategy.is_eager:
            self.request(node, missing, number)

    def answer(self, node, asker, places):
        for place in places:
            self.give(node, asker, place)

    def give(self, node, asker, place):
        self.net.send(node, asker, self.bytes, self.receive, asker, node, place, True)

    def give_up(self, node):
        """Tells those from whom something is still expected, but not the leader, that it is not wanted any more."""
        expected = {}
        for place, (source, _) in self.asked[node].items():
            if source != self.leader and not self.have[node][place]:
                expected.setdefault(source, []).append(place)
        for source, places in expected.items():
            self.net.tell(node, source, REQUEST, self.given_up, source, node, places)

    def given_up(self, node, asker, places):
        self.net.cancel(node, asker)
        for place in places:
            askers = self.waiting[node].get(place)
            if askers and asker in askers:
                askers.remove(asker)

    # Chunks.

    def receive(self, node, source, place, is_right):
        if not is_right:
            self.wrong[node] += 1
            if self.strategy.shuns:
                self.shunned[node].add(source)
            # Whoever lies is disconnected at once.
            self.net.tell(node, source, 0, self.net.cancel, source, node)
            return
        if source == self.leader and self.own[node]:
            self.own[node] -= 1
            self.took[node] = self.net.now - self.begin[node]
        if self.have[node][place]:
            self.twice[node] += 1
            return
        self.have[node][place] = 1
        self.last[node] = self.net.now
        self.pass_on(node, place)
        stripe = place % self.stripes
        if not self.lacks[node][stripe]:
            self.twice[node] += 1
            return
        self.useful[node] += 1
        self.lacks[node][stripe] -= 1
        self.left[node] -= 1
        if not self.most[node] and 4 * self.left[node] <= self.total:
            self.most[node] = self.net.now
        if not self.left[node]:
            self.done[node] = self.net.now + self.strategy.completion
            if self.strategy.has_spare:
                self.give_up(node)
                self.net.at(self.done[node], self.restore, node)
            return
        asked, since = self.asked[node].get(place, (None, 0))
        if asked == self.leader or since == self.round[node]:
            self.expected[node] -= 1
            if not self.expected[node] and self.strategy.waits:
                self.ask(node)

    def pass_on(self, node, place):
        if self.world.faults[node] not in ("silent", "lying"):
            for asker in self.waiting[node].pop(place, ()):
                self.give(node, asker, place)

    def restore(self, node):
        """Whoever has the block has all chunks."""
        self.have[node] = bytearray(b"\1" * self.count)
        for place in list(self.waiting[node]):
            self.pass_on(node, place)

    # Time-outs.

    def check(self, node):
        """Starts the next round when it is time."""
        if not self.left[node]:
            return
        due = self.strategy.due(self, node)
        if due > self.net.now:
            self.net.at(due, self.check, node)
            return
        self.give_up(node)
        if self.strategy.shuns:
            self.shun(node)
        self.ask(node)
        # What the leader sends comes.
        if any(self.asked[node].get(place, (None, 0))[0] != self.leader for place in self.strategy.wanted(self, node)):
            self.net.at(self.net.now + self.strategy.patience, self.check, node)

    def shun(self, node):
        """Notes who is late. If most are, the node itself is slow."""
        number, have = self.round[node], self.have[node]
        asked, late = set(), set()
        for place, (source, since) in self.asked[node].items():
            if since == number and source != self.leader:
                asked.add(source)
                if not have[place]:
                    late.add(source)
        if 2 * len(late) <= len(asked):
            self.shunned[node] |= late

    # Results.

    def figures(self):
        """Times in seconds; bytes for each byte of the block."""
        world, size = self.world, self.block.size
        missing = [node for node in world.sound if self.done[node] is None]
        if missing:
            raise Failure(f"{self.strategy.name}: {len(missing)} validators never get the block")
        times = sorted(self.done[node] for node in world.sound)
        return {
            "median": times[len(times) // 2],
            "last": times[-1],
            "leader": self.net.sent[self.leader] / size,
            "all": sum(self.net.sent) / size / world.validators,
            "bound": world.bound(wire(self.block.chunk) * self.block.count),
        }
