"""The application with a large table: commits, look-ups by key, start and memory."""

import os
import random
import statistics
import subprocess
import time

from rig.chain import initialize
from rig.node import Node
from rig.part import Figure, Part

# The figures of a start are medians of so many.
STARTS = 5
# The look-ups measured, and those before them.
LOOK_UPS, EARLIER = 1_000, 100


def look_up(node, rows):
    """How long a client waits for a row by its key, in seconds."""
    key = random.randint(1, rows)
    begin = time.perf_counter()
    node.call("user.query", {"query": f"SELECT v FROM rows WHERE id = {key}"})
    return time.perf_counter() - begin


class State(Part):
    name = "state"
    title = "commits of 10 rows changed and 10 inserted, look-ups, start and memory, by the rows of the table"
    unit = "rows"
    sizes = [10_000, 1_000_000, 10_000_000]
    short_sizes = [10_000, 300_000]
    figures = {
        "commit_p50": Figure("commit, median", "ms", ratio=1.5),
        "commit_p99": Figure("commit, 99th percentile", "ms"),
        "lookup_p50": Figure("look-up, median", "ms", ratio=1.5),
        "lookup_p99": Figure("look-up, 99th percentile", "ms"),
        "start": Figure("start after a clean stop", "ms", ratio=1.5),
        "memory": Figure("memory of the started node", "MB", ratio=1.3),
    }

    def __init__(self, space):
        super().__init__(space)
        self.root = os.path.join(space.directory, "node")
        initialize(space, self.root)

    def measure(self, size):
        command = [self.space.simulator, "state", "--root", self.root, "--rows", str(size)]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        figures = {name: float(value) for name, value in (line.split() for line in found.splitlines())}
        # The first start has more to do.
        node = Node(self.space.apus, self.root)
        node.pace("24h")
        node.start()
        look_ups = [look_up(node, size) for _ in range(EARLIER + LOOK_UPS)][EARLIER:]
        node.stop()
        figures["lookup_p50"], figures["lookup_p99"] = (
            1000 * sorted(look_ups)[LOOK_UPS * percentile // 100] for percentile in (50, 99))
        starts = []
        for _ in range(STARTS):
            node.start()
            starts.append((1000 * node.seconds, node.resident / 1e6))
            node.stop()
        figures["start"], figures["memory"] = (statistics.median(values) for values in zip(*starts))
        return figures
