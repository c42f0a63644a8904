"""Start-up: from the start of the process until it answers by JSON-RPC."""

import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import time

from rpcbench.part import Failure, call, with_free_ports

from .part import Chain, Figure, Part

# The figure is the median of so many starts.
STARTS = 5
# How long a node commits blocks before it is killed.
KILLED_AFTER = 2
# The time in which any start must succeed: following a long log takes a while, the first time.
PATIENCE = 600


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
        # The first start after the chain was made has more to do.
        self.start(root, "24h").stop()
        clean, killed = [], []
        for _ in range(STARTS):
            node = self.start(root, "24h")
            clean.append(node.seconds)
            node.stop()
            node = self.start(root, "1ms")
            time.sleep(KILLED_AFTER)
            node.kill()
            node = self.start(root, "24h")
            killed.append(node.seconds)
            node.stop()
        shutil.rmtree(root)
        return {"clean": statistics.median(clean), "killed": statistics.median(killed)}

    def start(self, root, block_time):
        return Node(self.space.apus, root, block_time)


class Node:
    """A running node that makes empty blocks at an interval. `seconds` is the time until it answered."""

    def __init__(self, apus, root, block_time):
        path = os.path.join(root, "config.toml")
        with open(path) as file:
            text = file.read()
        text = re.sub(r"(?m)^(propose_timeout|empty_block_timeout) = .*", rf'\1 = "{block_time}"', text)
        text, port = with_free_ports(text)
        with open(path, "w") as file:
            file.write(text)
        with open(os.path.join(root, "log"), "a") as log:
            begin = time.monotonic()
            self.process = subprocess.Popen(
                [apus, "run", "--root", root], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), 1):
                    break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > begin + PATIENCE:
                    self.kill()
                    raise Failure(f"the node does not start: see {root}/log")
                time.sleep(0.002)
        call(port, "user.health", {})
        self.seconds = time.monotonic() - begin

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
