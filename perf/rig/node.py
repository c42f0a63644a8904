"""A node that benchmarks start and stop."""

import contextlib
import http.client
import json
import os
import re
import resource
import signal
import subprocess
import time
import urllib.request

from rpcbench.part import Failure, call, with_free_ports

# The time in which any start must succeed, and what waits be in blocks: following a long log takes a while.
PATIENCE = 600
TICKS = os.sysconf("SC_CLK_TCK")


def until(condition, failure, pause=0.01):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise Failure(failure)
        time.sleep(pause)


def node_id(apus, key):
    """The node ID of a key file."""
    shown = subprocess.run([apus, "key", "show", key, "--json"], check=True, capture_output=True, text=True)
    return json.loads(shown.stdout)["node_id"]


class Node:
    """A node with the root directory `root`, stopped at first. `seconds` is the time until its last start was answered.

    It listens on free ports of loopback, or runs on a `Host` at the addresses of its configuration.
    """

    def __init__(self, apus, root, host=None):
        self.apus, self.root, self.process = apus, root, None
        self.within = host.within if host else []
        self.network = host.inside if host else contextlib.nullcontext
        self.configuration = os.path.join(root, "config.toml")
        if host:
            self.p2p, self.port = f"{host.address}:6600", 8484
            return
        with open(self.configuration) as file:
            text, p2p, self.port = with_free_ports(file.read())
        with open(self.configuration, "w") as file:
            file.write(text)
        self.p2p = f"127.0.0.1:{p2p}"

    def set(self, key, value, section=""):
        """Sets a key: of a section, or the only one with this name in the configuration."""
        within = rf"(?<=^\[{section}\]\n)((?:(?!\[).*\n)*?)" if section else "()"
        with open(self.configuration) as file:
            text, count = re.subn(rf"(?m){within}^#? ?{key} = .*", rf"\g<1>{key} = {json.dumps(value)}", file.read())
        if count != 1:
            raise Failure(f"{self.configuration} has {count} lines with {key}")
        with open(self.configuration, "w") as file:
            file.write(text)

    def pace(self, block_time):
        """Makes empty blocks at an interval, from the next start on."""
        for key in ("propose_timeout", "empty_block_timeout"):
            self.set(key, block_time)

    def start(self):
        begin = time.monotonic()
        with open(os.path.join(self.root, "log"), "a") as log:
            self.process = subprocess.Popen(
                [*self.within, self.apus, "run", "--root", self.root], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=log)
        while True:
            try:
                self.call("user.health", {})
                break
            # A killed node's io_uring may accept connections for a moment longer.
            except OSError:
                if self.process.poll() is not None or time.monotonic() > begin + PATIENCE:
                    self.kill()
                    raise Failure(f"the node does not start: see {self.root}/log")
                time.sleep(0.002)
        self.seconds = time.monotonic() - begin

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def kill(self):
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    @property
    def node_id(self):
        """The node ID, by which peers name it; of a stopped node too."""
        return node_id(self.apus, os.path.join(self.root, "nodekey.json"))

    def call(self, method, parameters):
        """Returns the result of a call."""
        with self.network():
            return call(self.port, method, parameters)[1]

    def status(self):
        return self.call("apus.status", {})

    def drain(self):
        """Waits until blocks contain everything that waits in its mempool."""
        until(lambda: self.status()["mempool_transactions"] == 0, f"transactions wait after {PATIENCE} s")

    @property
    def resident(self):
        """The memory of the process, in bytes."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

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

    @staticmethod
    def batch(parameters):
        """The body of one request that submits transactions."""
        return json.dumps([{"jsonrpc": "2.0", "id": index, "method": "user.broadcast", "params": one}
                           for index, one in enumerate(parameters)]).encode()

    def post(self, body):
        """Sends a batch. Returns how many of its transactions the node accepts."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/rpc/v1", body, {"Content-Type": "application/json"})
        with self.network(), urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return sum("result" in answer for answer in json.load(response))

    def send(self, parameters):
        """Submits transactions in one request. Returns how many of them it accepts."""
        return self.post(self.batch(parameters))


class Client:
    """A client of a node, with a connection of its own."""

    def __init__(self, node):
        self.connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=PATIENCE)
        with node.network():
            self.connection.connect()

    def call(self, method, parameters):
        """Returns the whole response to one call."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
        self.connection.request("POST", "/rpc/v1", body, {"Content-Type": "application/json"})
        return json.load(self.connection.getresponse())

    def close(self):
        self.connection.close()
