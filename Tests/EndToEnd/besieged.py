"""A soak test of a network under load with strangers of every kind at every node: besieged.py APUS [MINUTES].

Memory, descriptors and threads must not grow, no transaction may be lost, and every stranger must be disconnected. The
program prints how long commits take, without and beside the strangers, for the reader to judge.
"""

import collections
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "perf"))

from rpcbench import signing

import stranger
from network import CHAIN, Network, expect, wait
from cases.strangers import port

# Transactions per second, and the number of them in a request.
RATE, BATCH = 200, 20
# The number of accounts of a sender: enough that an account's last transaction is committed before its next.
ACCOUNTS = 2000
# The time after which a new stranger replaces a disconnected one, in seconds.
AGAIN = 10
# The maximum growth of each node from the middle to the end of the siege: MiB, descriptors, threads.
GROWTH = (48, 40, 4)


def call(node, calls):
    body = json.dumps(calls).encode()
    request = urllib.request.Request(f"http://{node.rpc}/rpc/v1", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


class Sender:
    """Sends rows from its own accounts in turn. Each node always gets the same accounts."""

    def __init__(self, nodes, first, batch, waits):
        self.nodes, self.first, self.batch, self.waits = nodes, first, batch, waits
        self.sent = 0

    def send(self):
        """Sends a batch of rows to the next node."""
        node = self.nodes[self.sent // self.batch % len(self.nodes)]
        answers = call(node, [self.broadcast(number) for number in range(self.sent, self.sent + self.batch)])
        self.sent += self.batch
        return answers

    def broadcast(self, number):
        parameters = signing.broadcast(
            1_000_000_000 * self.first + number, CHAIN, self.first + number % ACCOUNTS, number // ACCOUNTS + 1)
        parameters["sync"] = 1 if self.waits else 0
        return {"jsonrpc": "2.0", "id": number, "method": "user.broadcast", "params": parameters}


class Load:
    """Clients that send transactions to each node in turn, and measure how long single ones take."""

    def __init__(self, nodes):
        self.bulk, self.single = Sender(nodes, 0, BATCH, False), Sender(nodes, ACCOUNTS, 1, True)
        self.failures, self.commits = [], []
        self.running = True
        self.threads = [threading.Thread(target=work) for work in (self.send, self.measure)]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def grant(network):
        """Grants write access to the accounts."""
        keys = [signing.public_key(account).hex() for account in range(2 * ACCOUNTS)]
        for start in range(0, len(keys), 500):
            rows = ",".join(f"('{key}')" for key in keys[start:start + 500])
            network.commit(f"INSERT INTO grants (identifier) VALUES {rows}", "sentry")

    @property
    def sent(self):
        return self.bulk.sent + self.single.sent

    def send(self):
        due = time.monotonic()
        while self.running:
            self.answered(self.bulk.send())
            due = max(due + BATCH / RATE, time.monotonic() - 1)
            time.sleep(max(0, due - time.monotonic()))

    def measure(self):
        while self.running:
            start = time.monotonic()
            self.answered(self.single.send())
            self.commits.append(time.monotonic() - start)
            time.sleep(0.25)

    def answered(self, answers):
        for answer in answers:
            result = answer.get("result", {}).get("result", {"code": 0})
            if "error" in answer or result["code"]:
                self.failures.append(answer)

    def figures(self):
        """The number, median and maximum of the commit times since the last call."""
        commits, self.commits = self.commits, []
        return len(commits), statistics.median(commits), max(commits)

    def stop(self):
        self.running = False
        for thread in self.threads:
            thread.join()


class Siege:
    """Strangers of every kind at a node, with a count of those that were disconnected.

    They run at low priority, since real ones would use other machines.
    """

    def __init__(self, node, source):
        self.node, self.gone, self.lasted = node, collections.Counter(), 0
        self.process = subprocess.Popen(
            ["nice", "-n", "19", sys.executable, stranger.__file__, ",".join(stranger.KINDS), CHAIN, str(port(node)), str(port(source)),
             str(AGAIN)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            _, kind, seconds, _ = line.split(" ", 3)
            self.gone[kind] += 1
            self.lasted = max(self.lasted, float(seconds))

    def stop(self):
        self.process.kill()
        self.process.wait()


def resources(node):
    """A node's memory in MiB, descriptors and threads. Mapped files do not count: the chain grows with every commit."""
    with open(f"/proc/{node.process.pid}/status") as status:
        text = status.read()
    memory, threads = (int(re.search(rf"{key}:\s+(\d+)", text).group(1)) for key in ("RssAnon", "Threads"))
    return memory // 1024, len(os.listdir(f"/proc/{node.process.pid}/fd")), threads


def besiege(apus, directory, seconds):
    with Network(apus, directory) as network:
        nodes = list(network.nodes.values())
        network.commit("CREATE TABLE bench (id INTEGER PRIMARY KEY NOT NULL, v TEXT)", "sentry")
        Load.grant(network)
        load = Load(nodes)
        sieges = []
        try:
            time.sleep(min(20, seconds / 3))
            quiet = load.figures()
            # The leader admits no strangers, so they get no announcements from it.
            sources = [node for node in nodes if node.name != "leader"]
            sieges = [Siege(node, sources[(sources.index(node) if node in sources else 0) - 1]) for node in nodes]
            time.sleep(seconds / 2)
            middle = [resources(node) for node in nodes]
            time.sleep(seconds / 2)
            end = [resources(node) for node in nodes]
            beside = load.figures()
        finally:
            for siege in sieges:
                siege.stop()
            load.stop()
        print(f"a commit: median {quiet[1]:.3f} s, longest {quiet[2]:.3f} s of {quiet[0]}; beside strangers "
              f"{beside[1]:.3f} s, {beside[2]:.3f} s of {beside[0]}: {beside[1] / quiet[1]:.2f} times", flush=True)
        for node, siege, was, now in zip(nodes, sieges, middle, end):
            print(f"{node.name}: {was} then {now} MiB, descriptors, threads; sent away {sum(siege.gone.values())}, "
                  f"the last after {siege.lasted:.0f} s", flush=True)
            stayed = [kind for kind in stranger.KINDS if not siege.gone[kind]]
            if stayed:
                print(f"{node.name}: not sent away: {', '.join(stayed)}", flush=True)
            grown = [after - before for before, after in zip(was, now)]
            expect(all(g <= most for g, most in zip(grown, GROWTH)), f"{node.name} grew by {grown}")
        expect(not load.failures, f"{len(load.failures)} transactions failed, the first: {load.failures[:1]}")

        def missing():
            counts = {node.name: node.query("SELECT count(*) FROM bench") for node in nodes}
            return any(c != [[str(load.sent)]] for c in counts.values()) and f"{load.sent} rows sent, found {counts}"

        wait(missing)


def main():
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 20
    with tempfile.TemporaryDirectory(prefix="apus-besieged-") as directory:
        besiege(os.path.abspath(sys.argv[1]), directory, 60 * minutes)


if __name__ == "__main__":
    main()
