"""Misbehaving strangers at a row of three nodes: the nodes stay usable and disconnect each one with a logged reason."""

import contextlib
import re
import select
import statistics
import subprocess
import sys
import time

import stranger
from network import CHAIN, Network, change, expect, wait
from peer import PINGS, Connection, member

# The maximum growth of a node's memory for a stranger, in MiB: half the window that all streams of a peer share, and
# twice the largest block.
CHEAP_MEMORY = 64
BODY_MEMORY = 192
# The maximum ratio of an honest peer's round trip beside a stranger to the quiet one, and the time in seconds below
# which the scheduler of a machine with two cores dominates.
SLOWER = 3
NOISE = 0.02


class Row(Network):
    """A leader, a sentry, and a far sentry that is connected only to the first."""

    names = ["leader", "sentry", "far-sentry"]

    def __init__(self, apus, directory):
        super().__init__(apus, directory)
        for name, other in (("leader", "far-sentry"), ("far-sentry", "leader")):
            change(f"{self.nodes[name].root}/config.toml", r"blocklist = \[\]", f'blocklist = ["{self.ids[other]}"]')

    @staticmethod
    def bootnode(name):
        return "sentry" if name == "far-sentry" else "leader"

    def height(self, name):
        status = self.nodes[name].status()
        return int(status["height"]) if status else 0

    def follow(self, patience, name="far-sentry"):
        """Waits until the far sentry has the leader's latest block."""
        height = self.height("leader")
        wait(lambda: self.height(name) < height and f"{name} is at {self.height(name)}, not at {height}", patience)


class Stranger:
    """A running stranger (stranger.py) at a node; `source` is the node whose announcements it receives."""

    def __init__(self, kind, node, source=None):
        self.kind, self.node = kind, node
        ports = [str(port(n)) for n in (node, source) if n]
        self.process = subprocess.Popen(
            [sys.executable, stranger.__file__, kind, CHAIN, *ports],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def await_end(self, patience):
        """Waits until the node has ended the stranger's connection and logged the reason."""
        ready, _, _ = select.select([self.process.stdout], [], [], patience)
        expect(ready, f"{self.kind} is still connected to {self.node.name} after {patience} s")
        line = self.process.stdout.readline()
        expect(line.startswith("gone"), f"{self.kind}: {line!r}")
        peer = line.split()[3]
        # The node writes its log with a delay.
        wait(lambda: None if reasons(self.node, peer) else f"{self.node.name} does not log why it disconnected {self.kind}: "
             f"{lines_of(self.node, peer)}", 10)


@contextlib.contextmanager
def several(count, *what):
    """Runs several strangers of one kind until the end of the block."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Stranger(*what)) for _ in range(count)]


def lines_of(node, peer):
    with open(node.log, errors="replace") as log:
        return [line for line in log if f"peer={peer} " in line + " "]


def reasons(node, peer):
    """The reasons in a node's log for disconnecting or banning a peer."""
    said = [re.search(r" (?:disconnecting|peer banned) .*reason=(\"[^\"]+\"|\S+)", line) for line in lines_of(node, peer)]
    return [found.group(1) for found in said if found]


def port(node):
    return int(node.p2p.rsplit(":", 1)[1])


def memory(node):
    """The resident memory of a node's process, in MiB."""
    with open(f"/proc/{node.process.pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) // 1024


class Neighbour:
    """An honest peer that measures the round trips of pings on one connection."""

    def __init__(self, node):
        self.connection = Connection(port(node), member(CHAIN))
        self.stream = self.connection.open(PINGS)

    def round_trip(self):
        start = time.monotonic()
        self.stream.write(b"p" * 32)
        self.stream.read_exactly(32)
        return time.monotonic() - start

    def median(self, count):
        times = []
        for _ in range(count):
            times.append(self.round_trip())
            time.sleep(0.02)
        return statistics.median(times)


def cheap(apus, directory, *kinds):
    """Runs one stranger of each kind after another: the node disconnects each, and serves others meanwhile."""
    with Row(apus, directory) as network:
        node = network.nodes["sentry"]
        neighbour = Neighbour(node)
        quiet, idle = neighbour.median(100), memory(node)
        for kind in kinds:
            with Stranger(kind, node) as stranger:
                time.sleep(1)
                beside = neighbour.median(100)
                stranger.await_end(120)
            expect(beside < max(SLOWER * quiet, NOISE), f"{kind}: round trips of {beside:.4f} s, quiet {quiet:.4f} s")
            used = memory(node) - idle
            expect(used < CHEAP_MEMORY, f"{kind}: {used} MiB more than idle")
        network.create_table()
        network.agree(0)


def streams_opened_without_end(apus, directory):
    cheap(apus, directory, "rapid_reset", "silent_streams", "unknown_protocols")


def control_frames_without_end(apus, directory):
    cheap(
        apus, directory, "pings", "unread_pings", "packed_pings", "window_updates", "empty_frames", "empty_messages",
        "single_bytes", "announcements")


def identify_pushes_without_end(apus, directory):
    cheap(apus, directory, "identify_pushes")


def gossip_without_end(apus, directory):
    cheap(apus, directory, "gossip_control", "gossip_messages")


def peak_memory(node, seconds):
    peak, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        peak = max(peak, memory(node))
        time.sleep(0.2)
    return peak


def transactions_half_sent(apus, directory):
    with Row(apus, directory) as network:
        node = network.nodes["sentry"]
        network.create_table()
        idle = memory(node)
        with Stranger("half_sent_transactions", node) as stranger:
            used = peak_memory(node, 10) - idle
            expect(used < BODY_MEMORY, f"{used} MiB more than idle")
            network.insert(range(2), "far-sentry")
            stranger.await_end(120)
        network.agree(2)


def blocks_that_never_end(apus, directory):
    with Row(apus, directory) as network:
        node = network.nodes["sentry"]
        network.create_table()
        idle = memory(node)
        with Stranger("endless_blocks", node, network.nodes["leader"]) as stranger:
            used = peak_memory(node, 15) - idle
            expect(used < BODY_MEMORY, f"{used} MiB more than idle")
            network.insert(range(2), "leader")
            network.follow(10)
            stranger.await_end(120)
        network.agree(2)


def a_false_height_hides_no_block(apus, directory):
    with Row(apus, directory) as network:
        node = network.nodes["sentry"]
        network.create_table()
        network.follow(10)
        with Stranger("false_height", node) as stranger:
            time.sleep(2)
            for row in range(5):
                network.insert([row], "leader")
                network.follow(10)
                status = node.status()
                expect(status and status.get("syncing", "no") in ("no", "false"), f"a claim makes {node.name} sync")
            network.insert([5], "far-sentry")
            stranger.await_end(120)
        network.agree(6)


def slow_readers_lose_their_places(apus, directory):
    with Row(apus, directory) as network:
        late = network.nodes["far-sentry"]
        late.kill()
        network.nonce += 1
        network.send("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, name TEXT)", "leader", network.nonce, "--wait")
        for row in range(24):
            network.commit(f"INSERT INTO t VALUES ({row}, '{'x' * 100_000}')", "leader")
        network.follow(20, "sentry")
        with several(3, "slow_reader", network.nodes["sentry"]):
            time.sleep(3)
            late.start()
            network.follow(15)


def pass_through(network, rows, patience):
    """Sends each row to the far sentry. It must be committed within `patience` seconds."""
    for row in rows:
        network.nonce += 1
        out = network.send(f"INSERT INTO t VALUES ({row}, 'row {row}')", "far-sentry", network.nonce)
        expect(out.returncode == 0, out.stderr)
        wait(lambda: len(network.nodes["leader"].query("SELECT id FROM t") or []) <= row and f"row {row} is not there",
             patience)


def invented_transactions_hold_nothing_up(apus, directory):
    with Row(apus, directory) as network:
        node = network.nodes["sentry"]
        network.create_table()
        with several(8, "invented_transactions", node) as strangers:
            time.sleep(6)
            pass_through(network, range(2), 10)
            for stranger in strangers:
                stranger.await_end(120)
        network.agree(2)


def silent_announcers_hold_nothing_up(apus, directory):
    with Row(apus, directory) as network:
        network.create_table()
        with several(5, "silent_announcer", network.nodes["leader"], network.nodes["far-sentry"]):
            time.sleep(3)
            pass_through(network, range(4), 15)
        network.agree(4)


def withheld_blocks_come_from_others(apus, directory):
    with Row(apus, directory) as network:
        network.create_table()
        network.follow(10)
        with Stranger("withheld_blocks", network.nodes["far-sentry"], network.nodes["leader"]):
            time.sleep(2)
            for row in range(5):
                network.insert([row], "leader")
                network.follow(6)
        network.agree(5)


TESTS = [
    streams_opened_without_end, control_frames_without_end, identify_pushes_without_end, gossip_without_end,
    transactions_half_sent, blocks_that_never_end, a_false_height_hides_no_block, slow_readers_lose_their_places,
    invented_transactions_hold_nothing_up, silent_announcers_hold_nothing_up, withheld_blocks_come_from_others,
]
# Tests that wait a minute until their strangers are disconnected.
BESIDE = [a_false_height_hides_no_block, invented_transactions_hold_nothing_up]
