"""Transactions that wait: refusals by a full mempool, the hand-over to a leader that returns, and the cost at low rates."""

import json
import os
import re
import subprocess
import time
import urllib.request

from rpcbench import signing
from rpcbench.part import Failure, call, free_port

from .part import Figure, Part

CHAIN_ID = "apus-growth"
# Transactions in one request.
BATCH = 100
# The time in which a node must start, and take or pass on what a size demands.
PATIENCE = 300
TICKS = os.sysconf("SC_CLK_TCK")


class Member:
    """A node of a small network, stopped at first. Its configuration is a text with keys of one line each."""

    def __init__(self, apus, root, *init):
        self.apus, self.root = apus, root
        self.p2p, self.rpc = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.process = None
        out = subprocess.run(
            [apus, "init", "--json", "--root", root, "--listen", self.p2p, "--rpc-listen", self.rpc, *init], check=True,
            capture_output=True, text=True).stdout
        self.id = json.loads(out)["node_id"]
        self.port = int(self.rpc.rsplit(":", 1)[1])

    def set(self, key, value):
        path = os.path.join(self.root, "config.toml")
        with open(path) as file:
            text, count = re.subn(rf"(?m)^#? ?{key} = .*", f"{key} = {json.dumps(value)}", file.read())
        if count != 1:
            raise Failure(f"{path} has {count} lines with {key}")
        with open(path, "w") as file:
            file.write(text)

    def start(self):
        with open(os.path.join(self.root, "log"), "a") as log:
            self.process = subprocess.Popen(
                [self.apus, "run", "--root", self.root], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: self.answers(), f"{self.root} does not start")

    def answers(self):
        if self.process.poll() is not None:
            raise Failure(f"a node has ended: see {self.root}/log")
        try:
            return self.status() is not None
        except OSError:
            return False

    def status(self):
        return call(self.port, "apus.status", {})[1]

    def drain(self):
        """Waits until blocks contain everything that waits in its mempool."""
        until(lambda: self.status()["mempool_transactions"] == 0, f"transactions wait after {PATIENCE} s")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def switches(self):
        """How often its threads have waited for something."""
        count = 0
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            try:
                with open(f"/proc/{self.process.pid}/task/{thread}/status") as status:
                    count += int(re.search(r"(?m)^voluntary_ctxt_switches:\s+(\d+)", status.read())[1])
            except OSError:
                pass
        return count

    def send(self, parameters):
        """Submits transactions in one request. Returns how many of them it accepts."""
        body = json.dumps([{"jsonrpc": "2.0", "id": index, "method": "user.broadcast", "params": one}
                           for index, one in enumerate(parameters)]).encode()
        request = urllib.request.Request(
            f"http://{self.rpc}/rpc/v1", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return sum("result" in answer for answer in json.load(response))


def until(condition, failure):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise Failure(failure)
        time.sleep(0.01)


def signed(first, count):
    """Transactions of an account each, in batches."""
    ready = [signing.broadcast(number, CHAIN_ID) for number in range(first, first + count)]
    return [ready[start:start + BATCH] for start in range(0, count, BATCH)]


class Waiting(Part):
    """Parts with nodes that `measure` adds to `self.members`."""

    unit = "waiting transactions"

    def __init__(self, space):
        super().__init__(space)
        self.members = []

    def member(self, size, name, *init):
        member = Member(self.space.apus, os.path.join(self.space.directory, f"{name}-{size}"), *init)
        self.members.append(member)
        return member

    def network(self, size):
        """A leader, and a sentry that follows it, both started and connected."""
        leader = self.member(size, "leader", "--chain-id", CHAIN_ID)
        sentry = self.member(
            size, "sentry", "--genesis", os.path.join(leader.root, "genesis.json"), "--bootnode",
            f"{leader.id}@{leader.p2p}")
        leader.start()
        sentry.start()
        until(lambda: sentry.status()["peers"] == 1, "the sentry finds no leader")
        return leader, sentry

    def end(self):
        for member in self.members:
            member.stop()
        self.members = []


class Refusal(Waiting):
    name = "full"
    title = "processor time for a transaction that a full mempool refuses, JSON-RPC included, by the mempool's size"
    sizes = [1_000, 10_000, 50_000]
    short_sizes = [1_000, 10_000]
    figures = {
        "refused": Figure("a refused transaction", "µs", ratio=1.5),
        "accepted": Figure("an accepted transaction", "µs", ratio=1.5),
    }
    # Refusals that are measured.
    REFUSED = 5_000

    def measure(self, size):
        node = self.member(size, "node", "--chain-id", CHAIN_ID)
        node.set("propose_timeout", "24h")
        node.set("max_transactions", size)
        node.start()
        # The first block comes at once, the second after a day.
        first, = signed(size + self.REFUSED, BATCH)
        node.send(first)
        node.drain()
        fill, more = signed(0, size), signed(size, self.REFUSED)
        accepted = self.cost(node, fill, size, size)
        refused = self.cost(node, more, self.REFUSED, 0)
        self.end()
        return {"refused": refused, "accepted": accepted}

    @staticmethod
    def cost(node, batches, count, expected):
        before = node.processor_seconds()
        taken = sum(node.send(batch) for batch in batches)
        if taken != expected:
            raise Failure(f"{taken} of {count} transactions are accepted instead of {expected}")
        return (node.processor_seconds() - before) / count * 1e6


class HandOver(Waiting):
    name = "hand-over"
    title = "time until a leader that returns has committed what waits at its only peer"
    sizes = [1_000, 10_000, 50_000]
    short_sizes = [1_000, 10_000]
    figures = {
        "each": Figure("time for each transaction", "ms", ratio=2),
        "all": Figure("time for all", "s"),
    }

    def measure(self, size):
        leader, sentry = self.network(size)
        leader.stop()
        for batch in signed(0, size):
            sentry.send(batch)
        leader.start()
        until(lambda: sentry.status()["peers"] == 1, "the leader does not return")
        begin = time.monotonic()
        sentry.drain()
        seconds = time.monotonic() - begin
        self.end()
        return {"each": seconds / size * 1e3, "all": seconds}


class Spacing(Waiting):
    name = "spacing"
    title = "a leader's cost for each transaction that a peer passes on, by the time between two transactions"
    unit = "ms between two transactions"
    sizes = [1, 10]
    short_sizes = [1, 10]
    figures = {
        "processor": Figure("processor time", "ms", ratio=4, target=0.3),
        "switches": Figure("context switches", "", ratio=10),
    }
    # How long transactions are sent, in seconds.
    SENDING = 10

    def measure(self, size):
        leader, sentry = self.network(size)
        count = self.SENDING * 1_000 // size
        ready = [signing.broadcast(number, CHAIN_ID) for number in range(count)]
        processor, switches = leader.processor_seconds(), leader.switches()
        begin = time.monotonic()
        for number, one in enumerate(ready):
            time.sleep(max(0, begin + number * size / 1_000 - time.monotonic()))
            sentry.send([one])
        sentry.drain()
        figures = {
            "processor": (leader.processor_seconds() - processor) / count * 1e3,
            "switches": (leader.switches() - switches) / count,
        }
        self.end()
        return figures
