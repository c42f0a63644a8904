"""The part `soak` of perf/bench: five processes under a constant load, and whether anything that they use grows with time."""

import contextlib
import http.client
import json
import math
import os
import platform
import random
import re
import signal
import statistics
import subprocess
import tempfile
import threading
import time

from rig import picture
from rig.report import row
from rpcbench import signing
from rpcbench.part import Failure

# The chain of a test network.
CHAIN_ID = "apus-testnet"

# Transactions per second of the load. The probe adds one.
RATE = 200
# A cost is flat if its linear fit grows by at most this fraction of its mean over the whole soak, or if that growth is less
# than twice its standard error.
GROWTH = 0.1
# The five nodes' costs, by the keys of a sample, with their units.
COSTS = {
    "memory": ("resident memory of all nodes", "MB"),
    "descriptors": ("open descriptors of all nodes", ""),
    "threads": ("threads of all nodes", ""),
    "written": ("bytes written for a transaction, by each node", "B"),
    "p50": ("latency, median", "ms"),
    "p99": ("latency, 99th percentile", "ms"),
}


def children(pid):
    """The child processes of all threads of a process."""
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        # A thread may have ended meanwhile.
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children") as file:
            found += map(int, file.read().split())
    return found


class Process:
    """A node's process with its children, which answer queries."""

    def __init__(self, pid):
        self.pid = pid

    @property
    def pids(self):
        return [self.pid, *children(self.pid)]

    def field(self, file, pattern):
        total = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/{file}") as text:
                total += int(re.search(pattern, text.read())[1])
        return total

    @property
    def resident(self):
        return self.field("status", r"VmRSS:\s+(\d+)") << 10

    @property
    def threads(self):
        return self.field("status", r"Threads:\s+(\d+)")

    @property
    def descriptors(self):
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids)

    @property
    def written(self):
        return self.field("io", r"(?m)^write_bytes: (\d+)")


@contextlib.contextmanager
def network(apus, root):
    """A test network, kept running. Yields its nodes' processes, and the JSON-RPC address of its sentry."""
    records = os.path.join(root, "records.csv")
    with open(records, "w") as file:
        file.write("id,v\n" + "".join(f"{number},v\n" for number in range(100)))
    process = subprocess.Popen(
        [apus, "testnet", "--input", records, "--root", os.path.join(root, "net"), "--keep", "--json"],
        stdout=subprocess.PIPE, text=True)
    try:
        proof = process.stdout.readline()
        if not proof:
            raise Failure(f"apus testnet ended with {process.wait()}")
        nodes, processes = json.loads(proof)["nodes"], children(process.pid)
        if len(processes) != len(nodes):
            raise Failure(f"{len(nodes)} nodes have {len(processes)} processes")
        yield [Process(pid) for pid in processes], nodes[-1]["rpc"]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


class Probe:
    """A client that sends a transaction each second or so, at any moment between two blocks, and awaits its commit."""

    def __init__(self, address):
        self.address, self.times, self.over = address, [], threading.Event()
        self.thread = threading.Thread(target=self.send)

    def send(self):
        with contextlib.closing(http.client.HTTPConnection(self.address, timeout=60)) as connection:
            nonce = 0
            while not self.over.wait(random.uniform(0.5, 1.5)):
                nonce += 1
                # It refers to a table that does not exist: what counts is when the result comes.
                parameters = {**signing.broadcast(nonce, CHAIN_ID, account=0, nonce=nonce), "sync": 1}
                call = {"jsonrpc": "2.0", "id": 1, "method": "user.broadcast", "params": parameters}
                begin = time.perf_counter()
                connection.request("POST", "/rpc/v1", json.dumps(call), {"Content-Type": "application/json"})
                answer = json.load(connection.getresponse())
                self.times.append(1e3 * (time.perf_counter() - begin))
                if "result" not in answer:
                    raise Failure(f"a transaction is refused: {answer}")

    def take(self):
        """Returns the latencies since the last call, in ascending order."""
        taken, self.times = self.times, []
        return sorted(taken)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


@contextlib.contextmanager
def load(apus, root, address, seconds):
    """A load for so many seconds. Yields its process; afterwards all its transactions must be committed."""
    process = subprocess.Popen(
        [apus, "load", "--key", os.path.join(root, "net", "owner.json"), "--rpc", address, "--rate", str(RATE), "--duration",
         str(seconds), "--json"], stdout=subprocess.PIPE, text=True)
    try:
        yield process
        step, = json.loads(process.communicate()[0])["steps"]
        if step["committed"] != step["due"]:
            raise Failure(f"{step['committed']} of {step['due']} transactions are committed: {step['errors']}")
        print("  latency of all: " + ", ".join(
            f"{key} {1e3 * value:.4g} ms" for key, value in step["latency_seconds"].items()), flush=True)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait()


def samples(apus, root, seconds, before, count):
    """Loads a network, and yields each cost every so many seconds: at first `before` times and then `count` times."""
    with network(apus, root) as (nodes, address):
        with Probe(address) as probe, load(apus, root, address, seconds * (before + count)) as process:
            written, last = sum(node.written for node in nodes), time.monotonic()
            for number in range(before + count):
                time.sleep(max(0, last + seconds - time.monotonic()))
                if process.poll() is not None and number < before + count - 1:
                    raise Failure(f"apus load ended with {process.returncode}")
                now, total, times = time.monotonic(), sum(node.written for node in nodes), probe.take()
                if not times:
                    raise Failure(f"no transaction is committed within {seconds} s")
                yield {
                    "memory": sum(node.resident for node in nodes) / 1e6,
                    "descriptors": sum(node.descriptors for node in nodes),
                    "threads": sum(node.threads for node in nodes),
                    "written": (total - written) / (RATE * (now - last) + len(times)) / len(nodes),
                    "p50": times[len(times) // 2],
                    "p99": times[len(times) * 99 // 100],
                }
                written, last = total, now


def fit(values):
    """The growth of a linear fit from the first to the last value, and its standard error."""
    xs = range(len(values))
    line = statistics.linear_regression(xs, values)
    rest = sum((y - line.slope * x - line.intercept) ** 2 for x, y in zip(xs, values))
    middle = statistics.mean(xs)
    error = math.sqrt(rest / (len(values) - 2) / sum((x - middle) ** 2 for x in xs))
    return line.slope * (len(values) - 1), error * (len(values) - 1)


def run(apus, minutes, output):
    """Soaks a network for so many minutes, after a quarter of that time, in which caches fill. Writes `soak.json` and `soak.svg`.
    Returns whether all costs are flat."""
    seconds = 60 if minutes >= 10 else max(5, 6 * minutes)
    count = minutes * 60 // seconds
    before = max(1, count // 4)
    found = []
    with tempfile.TemporaryDirectory(prefix="apus-soak-") as root:
        for number, sample in enumerate(samples(apus, root, seconds, before, count)):
            print(f"  {seconds * (number + 1 - before):6} s: "
                  + ", ".join(f"{key} {value:.4g}" for key, value in sample.items()), flush=True)
            found.append(sample)
    found = found[before:]
    os.makedirs(output, exist_ok=True)
    times = [(number + 1) * seconds for number in range(count)]
    figures = []
    for key, (name, unit) in COSTS.items():
        values = [sample[key] for sample in found]
        growth, error = fit(values)
        mean = statistics.mean(values)
        is_flat = growth <= max(GROWTH * mean, 2 * error)
        figures.append({"name": name, "unit": unit, "values": values, "mean": mean, "growth": growth,
                        "standard_error": error, "is_flat": is_flat})
        row(f"soak: {name}: mean {mean:.4g} {unit}, fit", f"{growth:+.3g} ± {error:.2g}", f"<= {GROWTH * mean:.3g}", is_flat)
    record = {"part": "soak", "title": f"five nodes at {RATE} transactions a second", "size": "seconds", "sizes": times,
              "figures": figures}
    with open(os.path.join(output, "soak.json"), "w") as file:
        json.dump({"machine": platform.platform(), "processors": os.cpu_count(), "parts": [record]}, file, indent=1)
    with open(os.path.join(output, "soak.svg"), "w") as file:
        file.write(picture.draw(record))
    return all(figure["is_flat"] for figure in figures)
