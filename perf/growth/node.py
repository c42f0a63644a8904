"""A node that the parts of the benchmark `growth` start and stop."""

import os
import re
import resource
import signal
import socket
import subprocess
import time

from rpcbench.part import Failure, call, with_free_ports

# The time in which any start must succeed: following a long log takes a while, the first time.
PATIENCE = 600


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
        self.port = port
        call(port, "user.health", {})
        self.seconds = time.monotonic() - begin

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)

    @property
    def resident(self):
        """The memory of the process, in bytes."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
