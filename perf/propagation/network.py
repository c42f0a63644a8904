"""A leader and validators, each on a host of its own."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import tempfile
import time
import urllib.request

from rig.chain import CHAIN_ID, run
from rig.node import Client, Node, node_id, until
from rpcbench import signing
from rpcbench.part import Failure

# The size of a transaction, and what of it `signing.broadcast` writes without filling, both in bytes.
TRANSACTION, BARE = 50_000, 230
# The transactions of one request, which stays below `rpc.max_req_size`.
BATCH = 40
# How often a clock is read: the reading with the shortest round trip counts.
READINGS = 16


def transactions(count, size):
    """Requests that submit `count` transactions of about `size` bytes, each of an account of its own, numbered from 1."""
    ready = [signing.broadcast(number, CHAIN_ID, filling=max(0, size - BARE)) for number in range(1, count + 1)]
    return [Node.batch(ready[start:start + BATCH]) for start in range(0, count, BATCH)]


@dataclasses.dataclass
class Traffic:
    """What the nodes have sent and received since their start."""
    # Bytes on the link of each node, the leader's first.
    links: list
    # Bytes of streams that carry transactions, and transactions received twice, at all nodes.
    transactions: float
    duplicates: float

    def __sub__(self, other):
        return Traffic([mine - others for mine, others in zip(self.links, other.links)],
                       self.transactions - other.transactions, self.duplicates - other.duplicates)


class Network:
    """Makes nodes on all hosts of `wires`, the leader first, starts them, and removes them at the end.

    `settings` are keys of the configuration; `of_validators` are those of all nodes but the leader.
    """

    def __init__(self, space, wires, block_bytes, settings, of_validators=()):
        self.wires, self.nodes = wires, []
        self.directory = tempfile.mkdtemp(dir=space.directory)
        settings = {"application": "noop", "empty_block_timeout": "0s", **settings}
        keys = [os.path.join(self.directory, f"key-{index}.json") for index in range(len(wires.hosts))]
        for key in keys:
            run(space.apus, "key", "new", key)
        ids = [node_id(space.apus, key) for key in keys]
        genesis = None
        for index, (host, key) in enumerate(zip(wires.hosts, keys)):
            root = os.path.join(self.directory, host.name)
            chain = ("--genesis", genesis, "--bootnode", f"{ids[0]}@{self.nodes[0].p2p}") if genesis \
                else ("--chain-id", CHAIN_ID)
            run(space.apus, "init", "--root", root, "--key", key, "--listen", f"{host.address}:6600", *chain)
            if not genesis:
                genesis = self.complete(os.path.join(root, "genesis.json"), ids, block_bytes)
            node = Node(space.apus, root, host)
            for name, value in {**settings, **(dict(of_validators) if index else {})}.items():
                node.set(name, value)
            node.set("enabled", True, "metrics")
            self.nodes.append(node)
        self.leader, self.validators = self.nodes[0], self.nodes[1:]

    @staticmethod
    def complete(path, ids, block_bytes):
        """Makes all nodes validators of a genesis. Returns its path."""
        with open(path) as file:
            genesis = json.load(file)
        genesis["validators"] = [
            {"identifier": key, "key_type": kind, "power": 1} for key, kind in (name.split("#") for name in ids)]
        genesis["max_block_size"] = block_bytes
        with open(path, "w") as file:
            json.dump(genesis, file)
        return path

    def __enter__(self):
        """Returns when all nodes are connected to each other and have committed a first, small block."""
        try:
            for node in self.nodes:
                node.start()
            others = len(self.nodes) - 1
            until(lambda: all(node.status()["peers"] == others for node in self.nodes), "nodes are not connected")
            self.leader.send([signing.broadcast(0, CHAIN_ID)])
            self.reach(1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def reach(self, height):
        """Waits until every node has committed a height."""
        for node in self.nodes:
            until(lambda: node.status()["height"] >= height, f"{node.root} does not commit block {height}", pause=0.1)

    def submit(self, requests, count):
        """Submits transactions to the leader. Returns when the first request began."""
        begin = time.monotonic()
        accepted = sum(self.leader.post(body) for body in requests)
        if accepted != count:
            raise Failure(f"the leader accepts {accepted} of {count} transactions")
        return begin

    def traffic(self):
        """What was sent so far."""
        sent, duplicates = zip(*(transaction_traffic(node) for node in self.nodes))
        return Traffic([host.sent() for host in self.wires.hosts], sum(sent), sum(duplicates))

    def stages(self, height):
        """For each node, the trace of the block that it has committed at a height, with times in seconds of this process's
        monotonic clock."""
        return [self.trace(node, height) for node in self.nodes]

    @staticmethod
    def trace(node, height):
        with contextlib.closing(Client(node)) as client:
            offset = min(reading(client) for _ in range(READINGS))[1]
        for trace in node.call("apus.block_trace", {"height": height})["traces"]:
            if trace["outcome"] == "committed":
                trace["stages"] = {stage: (time - offset) / 1e9 for stage, time in trace["stages"].items()}
                return trace
        raise Failure(f"{node.root} has no trace of block {height}")


def reading(client):
    """How long a node took to answer with its clock, and how far that is ahead of this process's, in nanoseconds."""
    begin = time.monotonic_ns()
    clock = client.call("apus.clock", {})["result"]["clock_ns"]
    end = time.monotonic_ns()
    return end - begin, clock - (begin + end) // 2


def transaction_traffic(node):
    """Bytes that a node has sent on streams of transactions, and how many transactions it has received twice."""
    with node.network(), urllib.request.urlopen("http://127.0.0.1:8485/metrics", timeout=20) as response:
        text = response.read().decode()
    sent = re.findall(r'(?m)^apus_stream_sent_bytes_total\{[^}]*class="transactions"[^}]*\} ([\d.e+]+)$', text)
    twice = re.findall(r'(?m)^apus_duplicates_received_total\{kind="transaction"\} ([\d.e+]+)$', text)
    return sum(map(float, sent)), sum(map(float, twice))
