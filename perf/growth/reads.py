"""Look-ups beside clients that scan a table."""

import contextlib
import os
import random
import statistics
import subprocess
import threading
import time

from rig.chain import CHAIN_ID, initialize
from rig.node import Client, Node
from rig.part import Figure, Part
from rpcbench import signing
from rpcbench.part import Failure

# The look-ups of each kind that are measured, and those before them.
LOOK_UPS, EARLIER = 400, 20
# After so many seconds no further look-up is measured: those that wait for scans take a second each.
LONGEST = 60
# The pause between two look-ups, in seconds, so that they meet scans at any moment.
PAUSE = 0.005
# The committed transactions that are looked up.
COMMITTED = 100
# Reads every row, and returns one.
SCAN = "SELECT count(*) FROM rows WHERE v LIKE '%{}%'"
KINDS = {"key": "a row by its key", "account": "an account", "block": "a block", "transaction": "a transaction"}


def percentile(values, percent):
    return sorted(values)[len(values) * percent // 100]


class Reads(Part):
    name = "reads"
    title = "look-ups of one client, alone and beside eight that scan a table of 1,000,000 rows"
    unit = "clients, all but one of which scan"
    sizes = [1, 9]
    short_sizes = [1, 9]
    figures = {
        **{f"{kind}_p50": Figure(f"{what}, median", "ms", ratio=5) for kind, what in KINDS.items()},
        **{f"{kind}_p99": Figure(f"{what}, 99th percentile", "ms", target=20) for kind, what in KINDS.items()},
        "scan": Figure("a scan, median", "ms"),
    }
    ROWS = 1_000_000

    def __init__(self, space):
        super().__init__(space)
        root = os.path.join(space.directory, "node")
        initialize(space, root)
        subprocess.run(
            [space.simulator, "state", "--root", root, "--rows", str(self.ROWS)], check=True, stdout=subprocess.DEVNULL)
        self.node = Node(space.apus, root)
        self.node.set("propose_timeout", "100ms")
        self.node.set("empty_block_timeout", "0s")
        self.transactions = []

    def end(self):
        self.node.stop()

    def measure(self, size):
        self.node.start()
        self.transactions = self.transactions or self.commit()
        asked = self.questions()
        over = threading.Event()
        scans = []
        clients = [threading.Thread(target=self.scan, args=(over, scans)) for _ in range(size - 1)]
        begin = time.monotonic()
        for thread in clients:
            thread.start()
        with contextlib.closing(Client(self.node)) as client:
            times = {kind: [] for kind in KINDS}
            for number in range(EARLIER + LOOK_UPS):
                if number > EARLIER and time.monotonic() > begin + LONGEST:
                    break
                for kind, ask in asked.items():
                    time.sleep(PAUSE)
                    start = time.perf_counter()
                    answer = client.call(*ask())
                    if number >= EARLIER:
                        times[kind].append(1000 * (time.perf_counter() - start))
                    if "result" not in answer:
                        raise Failure(f"a look-up of {KINDS[kind]} fails: {answer}")
            over.set()
            for thread in clients:
                thread.join()
        if not clients:
            self.scan(over, scans)
        self.node.stop()
        if not scans:
            raise Failure("no scan has finished")
        return {"scan": statistics.median(scans),
                **{f"{kind}_p{percent}": percentile(times[kind], percent) for kind in KINDS for percent in (50, 99)}}

    def commit(self):
        """Commits some transactions. Returns their IDs."""
        with contextlib.closing(Client(self.node)) as client:
            answers = [client.call("user.broadcast", signing.broadcast(number, CHAIN_ID)) for number in range(COMMITTED)]
        self.node.drain()
        return [answer["result"]["tx_hash"] for answer in answers]

    def questions(self):
        """Functions that return a call for each kind of look-up, with other parameters each time."""
        height = self.node.status()["height"]
        return {
            "key": lambda: ("user.query", {"query": f"SELECT v FROM rows WHERE id = {random.randint(1, self.ROWS)}"}),
            "account": lambda: ("user.account", {
                "id": {"identifier": f"{random.getrandbits(256):066x}", "key_type": "secp256k1"}}),
            "block": lambda: ("chain.block", {"height": random.randint(1, height)}),
            "transaction": lambda: ("chain.tx", {"hash": random.choice(self.transactions)}),
        }

    def scan(self, over, times):
        """Scans the table until it is over, and once at least. Appends the times of scans that return a result."""
        with contextlib.closing(Client(self.node)) as client:
            while True:
                start = time.perf_counter()
                answer = client.call("user.query", {"query": SCAN.format(random.getrandbits(30))})
                # On a busy machine a scan may exceed its time.
                if "result" in answer:
                    times.append(1000 * (time.perf_counter() - start))
                if over.is_set():
                    return
