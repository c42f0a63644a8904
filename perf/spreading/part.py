"""Parts of the comparison: strategies under one condition, at several sizes."""

import concurrent.futures
import dataclasses
import gc
import os
import statistics

from rig.part import Figure, Part

from .spread import Block, Spread
from .world import World

MBIT, GBIT = 10**6 / 8, 10**9 / 8
# How many seeds draw the world, by the number of validators: as many as fit into minutes.
SEEDS = [(32, 20), (250, 8), (5_000, 2)]
# The measures of a run: name, unit, and whether the picture shows it. A figure is its median over the seeds.
MEASURES = {
    "last": ("s until the last sound validator has the block", True),
    "late": ("the same, 95th percentile of the seeds", False),
    "median": ("s until the median validator has it", False),
    "leader": ("copies of the block sent by the leader", True),
    "all": ("copies sent by all nodes, for each validator", False),
}


@dataclasses.dataclass(frozen=True)
class Condition:
    """What one run depends on, but for the strategy and the seed."""
    validators: int = 16
    # A kind of faulty relays and their share.
    faults: tuple | None = None
    # Bytes a second each way.
    bandwidth: float = 100 * MBIT
    # Peers of each node; None if all are connected.
    degree: int | None = None
    # Bytes of the block and of a transaction.
    block: int = 6 << 20
    transaction: int = 50_000
    slow_start: bool = False


def run(job):
    """One run, in a process of its own. Returns its figures."""
    condition, strategy, seed = job
    world = World(seed, condition.validators, condition.bandwidth, condition.faults, condition.degree)
    block = Block(condition.block, condition.transaction)
    return Spread(world, block, strategy, condition.slow_start).run().figures()


def seeds(validators):
    return next(count for most, count in SEEDS if validators <= most)


class Spreading(Part):
    """`case(size)` gives the condition and the strategies at a size."""

    def __init__(self, name, title, unit, sizes, short_sizes, case, space):
        super().__init__(space)
        self.name, self.title, self.unit, self.sizes, self.short_sizes, self.case = name, title, unit, sizes, short_sizes, case
        self.figures = {
            (strategy.name, measure): Figure(strategy.name, unit, is_drawn=is_drawn)
            for measure, (unit, is_drawn) in MEASURES.items() for strategy in case(sizes[0])[1]}
        for measure in ("last", "median", "late"):
            self.figures["bound", measure] = Figure("bound", MEASURES[measure][0], is_drawn=measure == "last")

    def measure(self, size):
        condition, strategies = self.case(size)
        count = seeds(condition.validators)
        jobs = [(condition, strategy, seed) for strategy in strategies for seed in range(count)]
        # The runs leave hardly any cycles, and looking for them takes half of the time.
        with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), initializer=gc.disable) as pool:
            results = list(pool.map(run, jobs))
        found = {}
        for number, strategy in enumerate(strategies):
            mine = results[number * count:(number + 1) * count]
            for measure in ("last", "median", "leader", "all"):
                found[strategy.name, measure] = statistics.median(result[measure] for result in mine)
            found[strategy.name, "late"] = sorted(result["last"] for result in mine)[(count * 95 - 1) // 100]
        bound = statistics.median(result["bound"] for result in results[:count])
        return found | {("bound", measure): bound for measure in ("last", "median", "late")}

    def show(self, size, found):
        condition, strategies = self.case(size)
        print(f"  {size:,} {self.unit}: {seeds(condition.validators)} seeds, bound {found['bound', 'last']:.2f} s")
        print(f"    {'strategy':<42} {'last, s':>8} {'p95, s':>8} {'median':>8} {'leader':>8} {'each':>8}")
        for strategy in strategies:
            values = " ".join(f"{found[strategy.name, measure]:8.2f}" for measure in MEASURES)
            print(f"    {strategy.name:<42} {values}", flush=True)
