"""Bytes written for each transaction: by the block log, its index and the application's database together."""

import os
import subprocess

from rig.chain import initialize
from rig.part import Figure, Part

# The transactions of a block.
BLOCK = 1_000


class Index(Part):
    name = "index"
    title = "bytes written for each transaction, by the number of transactions before"
    unit = "transactions"
    sizes = [100_000, 300_000, 1_000_000]
    short_sizes = [50_000, 150_000]
    figures = {
        "written": Figure("log, index and state", "bytes", ratio=1.5, target=2_000),
        "index": Figure("size of the index", "bytes", ratio=1.1),
    }

    def __init__(self, space):
        super().__init__(space)
        self.root = os.path.join(space.directory, "node")
        initialize(space, self.root)
        self.made = 0

    def measure(self, size):
        """Makes the chain longer and counts what that writes, until everything is on the disk."""
        command = [self.space.simulator, "chain", "--root", self.root, "--height", str(1 + size // BLOCK),
                   "--transactions", str(BLOCK)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        written = usage.ru_oublock * 512 / (size - self.made)
        self.made = size
        index = os.path.join(self.root, "blocks", "index")
        return {"written": written,
                "index": sum(os.path.getsize(os.path.join(index, name)) for name in os.listdir(index)) / size}
