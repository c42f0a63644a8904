"""What the parts of the benchmark `growth` have in common."""

import dataclasses
import os
import shutil
import subprocess
import tempfile

CHAIN_ID = "apus-growth"


@dataclasses.dataclass
class Figure:
    """A cost that a part measures at each size."""
    name: str
    unit: str
    # The maximum ratio of the cost at the largest size to that at the smallest; None if it may grow.
    ratio: float | None = None
    # The maximum cost at the largest size on a machine with two cores; None for none.
    target: float | None = None


@dataclasses.dataclass
class Space:
    """The programs that a part runs, and a directory for its files, which is removed afterwards."""
    apus: str
    simulator: str
    directory: str


class Part:
    """A cost at several sizes. A subclass declares what is below and defines `measure`."""

    name = ""
    title = ""
    # What the sizes count, in the plural.
    unit = ""
    # In ascending order. The short form needs seconds, and shows a cost that grows in proportion.
    sizes = []
    short_sizes = []
    # The figures, by the keys that `measure` returns.
    figures = {}

    def __init__(self, space):
        self.space = space

    def measure(self, size):
        """Returns each figure's value at a size. The sizes come in ascending order."""
        raise NotImplementedError

    def end(self):
        """Called after the last size, also if a measurement failed."""


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def initialize(space, root, *options):
    """Makes the root directory of a node: the only validator of a chain of its own, unless the options name a genesis."""
    chain = () if "--genesis" in options else ("--chain-id", CHAIN_ID)
    run(space.apus, "init", "--root", root, "--listen", "127.0.0.1:1", "--rpc-listen", "127.0.0.1:1", *chain, *options)


class Chain:
    """A chain of one validator that grows. It is made in memory, where an fsync costs nothing, and measured as a copy."""

    def __init__(self, space, transactions=1):
        self.space, self.transactions = space, transactions
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else space.directory
        self.directory = tempfile.mkdtemp(prefix="apus-growth-", dir=memory)
        self.root = os.path.join(self.directory, "node")
        initialize(space, self.root)

    def copy(self, height):
        """Extends the chain to a height. Returns the root directory of a copy, which the caller may change and remove."""
        run(self.space.simulator, "chain", "--root", self.root, "--height", str(height), "--transactions",
            str(self.transactions))
        target = os.path.join(self.space.directory, f"node-{height}")
        shutil.copytree(self.root, target)
        os.sync()
        return target

    def end(self):
        shutil.rmtree(self.directory, ignore_errors=True)
