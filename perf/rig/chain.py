"""Root directories of nodes, and long chains, which are made without a network."""

import os
import shutil
import subprocess
import tempfile

from .node import Node

CHAIN_ID = "apus-perf"


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def initialize(space, root, *options):
    """Makes the root directory of a node: the only validator of a chain of its own, unless the options name a genesis."""
    chain = () if "--genesis" in options else ("--chain-id", CHAIN_ID)
    run(space.apus, "init", "--root", root, "--listen", "127.0.0.1:1", "--rpc-listen", "127.0.0.1:1", *chain, *options)


class Chain:
    """A chain of one validator that grows, by blocks of so many transactions with so many bytes. It is made in memory, where an
    fsync costs nothing, and measured as a copy."""

    def __init__(self, space, transactions=1, size=0, application="sql"):
        self.space, self.transactions, self.size = space, transactions, size
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else space.directory
        self.directory = tempfile.mkdtemp(prefix="apus-perf-", dir=memory)
        self.root = os.path.join(self.directory, "node")
        initialize(space, self.root)
        Node(space.apus, self.root).set("application", application)

    def copy(self, height):
        """Extends the chain to a height. Returns the root directory of a copy, which the caller may change and remove."""
        run(self.space.simulator, "chain", "--root", self.root, "--height", str(height), "--transactions",
            str(self.transactions), "--bytes", str(self.size))
        target = os.path.join(self.space.directory, f"node-{height}")
        shutil.copytree(self.root, target)
        os.sync()
        return target

    def end(self):
        shutil.rmtree(self.directory, ignore_errors=True)
