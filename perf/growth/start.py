"""Start-up: from the start of the process until it answers by JSON-RPC."""

import shutil
import statistics
import time

from rig.chain import Chain
from rig.node import Node
from rig.part import Figure, Part

# The figure is the median of so many starts.
STARTS = 5
# How long a node commits blocks before it is killed.
KILLED_AFTER = 2


class Start(Part):
    name = "start"
    title = "time until a started node answers, by the length of its chain of small blocks"
    unit = "blocks"
    sizes = [1_000, 100_000, 1_000_000]
    short_sizes = [1_000, 30_000]
    figures = {
        "clean": Figure("after a clean stop", "s", ratio=1.5, target=0.3),
        "killed": Figure("after kill -9", "s", ratio=2, target=1),
    }

    def __init__(self, space):
        super().__init__(space)
        self.chain = Chain(space)

    def end(self):
        self.chain.end()

    def measure(self, size):
        root = self.chain.copy(size)
        node = Node(self.space.apus, root)
        node.pace("24h")
        # The first start after the chain was made has more to do.
        node.start()
        node.stop()
        clean, killed = [], []
        for _ in range(STARTS):
            node.start()
            clean.append(node.seconds)
            node.stop()
            node.pace("1ms")
            node.start()
            time.sleep(KILLED_AFTER)
            node.kill()
            node.pace("24h")
            node.start()
            killed.append(node.seconds)
            node.stop()
        shutil.rmtree(root)
        return {"clean": statistics.median(clean), "killed": statistics.median(killed)}
