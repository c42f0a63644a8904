"""Whether the model does what it says, by cases whose results are known."""

from rpcbench.part import Failure

from .network import wire
from .spread import PROPOSAL, SHORT_ID, Block, Spread
from .strategies import Coded, Compact, Plain, Shares, Tree
from .world import LATENCY, SHORTEST, World

BANDWIDTH = 12.5e6
BLOCK = Block(2 << 20, 50_000)


def expect(holds, what):
    if not holds:
        raise Failure(f"the model of spreading is wrong: {what}")


class Causal(Spread):
    """A run in which nobody gives what it lacks."""

    def give(self, node, asker, place):
        expect(self.have[node][place], "a validator gives what it lacks")
        super().give(node, asker, place)


def spread(strategy, validators=16, faults=None, degree=None, seed=1, block=BLOCK):
    return Causal(World(seed, validators, BANDWIDTH, faults, degree), block, strategy).run()


def every():
    """A case of each strategy under each condition."""
    makers = [Plain, Compact, lambda: Tree(2), lambda: Tree(4), Shares, lambda: Shares(remembers="skip"),
              lambda: Shares(remembers="next", rule="most", is_eager=True), lambda: Shares(fan_out=4),
              lambda: Shares(rule="share", second="quotient"), lambda: Shares(rule="quiet", keepers=5),
              lambda: Coded(1.25), lambda: Coded(1.5, beyond=4)]
    for maker in makers:
        for faults in (None, ("slow", 0.2), ("silent", 0.2), ("lying", 0.2)):
            for degree in (None, 6):
                yield spread(maker(), 24, faults, degree), faults


def check_plain():
    """The leader's uplink is never idle, and one block after the other leaves it."""
    run = spread(Plain())
    sending = 16 * BLOCK.count * wire(BLOCK.chunk) / BANDWIDTH
    far = max(max(row) for row in LATENCY)
    last = run.figures()["last"]
    expect(sending < last <= sending + far + 2 * wire(BLOCK.chunk) / BANDWIDTH, f"plain takes {last} s instead of {sending}")
    expect(run.net.sent[run.leader] == 16 * BLOCK.count * wire(BLOCK.chunk), "plain sends other bytes than 16 blocks")


def check_shares():
    """Without faults, and with patience, each transaction leaves the leader once, and each other validator's share its keeper."""
    run = spread(Shares(rule="quiet", patience=60))
    proposals = 16 * wire(PROPOSAL + SHORT_ID * BLOCK.count)
    chunk = wire(BLOCK.chunk)
    expect(run.net.sent[run.leader] == proposals + BLOCK.count * chunk, "the leader of shares sends a transaction twice")
    for node in range(16):
        kept = len(range(node, BLOCK.count, 16))
        expect(15 * kept * chunk <= run.net.sent[node] < 15 * kept * chunk + 16 * 200, "a keeper sends more than its share")


def check_conservation():
    """What is sent is received; each sound validator gets the block once; nobody is faster than the bound."""
    for run, faults in every():
        name = f"{run.strategy.name}, {faults}"
        figures = run.figures()
        expect(sum(run.net.sent) == sum(run.net.received), f"bytes are lost: {name}")
        expect(figures["bound"] <= figures["last"], f"better than the bound: {name}")
        for node in run.world.sound:
            expect(run.useful[node] == run.total, f"a validator has another number of chunks: {name}")
            data = (run.useful[node] + run.twice[node] + run.wrong[node]) * wire(run.bytes)
            expect(0 <= run.net.received[node] - data < 500_000, f"a validator receives other bytes: {name}")
        if faults != ("lying", 0.2):
            expect(not any(run.wrong), f"wrong bytes without a liar: {name}")


def check_lies():
    """Each sound validator gets wrong bytes from the liar, and then disconnects, long before it has all of the liar's share."""
    block = Block(20 << 20, 50_000)
    run = spread(Shares(), 4, ("lying", 0.2), block=block)
    for node in run.world.sound:
        expect(0 < run.wrong[node] < block.count / 4 / 2, f"{run.wrong[node]} chunks of a liar are taken")


def check_silence():
    """Silent validators send requests only; and faults cost time."""
    run = spread(Shares(), faults=("silent", 0.2))
    for node in range(16):
        if run.world.faults[node]:
            expect(run.net.sent[node] < 20_000, "a silent validator sends more than requests")
    expect(spread(Shares()).figures()["last"] < run.figures()["last"], "silent keepers cost nothing")


def check_determinism():
    expect(spread(Shares(), faults=("slow", 0.2)).figures() == spread(Shares(), faults=("slow", 0.2)).figures(),
           "two runs of one seed differ")
    expect(spread(Shares()).figures() != spread(Shares(), seed=2).figures(), "two seeds have the same figures")


def check_world():
    """Round trips are symmetrical, and no way over other regions is longer than the direct one."""
    for a, row in enumerate(LATENCY):
        for b, time in enumerate(row):
            expect(time == LATENCY[b][a] and 0 < SHORTEST[a][b] <= time, f"the latency from {a} to {b} is wrong")


def check():
    for one in (check_world, check_plain, check_shares, check_conservation, check_lies, check_silence, check_determinism):
        one()
