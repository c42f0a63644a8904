"""Networks of real `apus run` processes on loopback, made by `apus init`."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time

CHAIN = "end-to-end"
# The maximum time to wait, in seconds: a bound on the delay that a broken network causes.
PATIENCE = 90

# A program that posts its second argument to its first. It runs on the node's host.
POST = """
import sys, urllib.request
headers = {"Content-Type": "application/json"}
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), headers)
print(urllib.request.urlopen(request, timeout=20).read().decode())
"""


def ports_of_listeners():
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        end = int(file.read().split()[0])
    return random.sample(range(end // 2, end), end - end // 2)


unused_ports = iter(ports_of_listeners())


def free_ports(count):
    """Free TCP ports of 127.0.0.1, none of which repeats within the test run.

    They are below the range from which the kernel takes the ports of outgoing connections: a port from that range may be
    taken while its node is down.
    """
    ports = []
    while len(ports) < count:
        port = next(unused_ports)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                ports.append(port)
    return ports


def wait(condition, patience=PATIENCE):
    """Calls `condition` until it returns no complaint."""
    deadline = time.monotonic() + patience
    while True:
        complaint = condition()
        if not complaint:
            return
        if time.monotonic() > deadline:
            raise AssertionError(complaint)
        time.sleep(0.1)


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


class Node:
    """One node: its root directory, its addresses, and its process while it runs.

    `within` is the command that starts the processes of the node and its clients on the node's host.
    """

    def __init__(self, apus, root, p2p, rpc, within=()):
        self.apus, self.root, self.p2p, self.rpc, self.within = apus, root, p2p, rpc, list(within)
        self.name = os.path.basename(root)
        self.process = None

    @property
    def log(self):
        return self.root + ".log"

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [*self.within, self.apus, "run", "--root", self.root], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self):
        """Stops the process as an operator does, and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=PATIENCE)
        self.process = None
        return code

    def command(self, *arguments):
        return subprocess.run(
            [*self.within, self.apus, *arguments, "--rpc", self.rpc], capture_output=True, text=True,
            timeout=PATIENCE)

    def status(self):
        """The output of `apus status` as a dictionary; None while the node does not answer."""
        out = self.command("status")
        if out.returncode != 0:
            return None
        return dict(re.split(r"\s{2,}", line, maxsplit=1) for line in out.stdout.splitlines() if "  " in line)

    def block_hash(self, height):
        """The hash of the block at a height, as the node's JSON-RPC returns it."""
        request = {"jsonrpc": "2.0", "id": 1, "method": "chain.block", "params": {"height": height}}
        out = subprocess.run(
            [*self.within, sys.executable, "-c", POST, f"http://{self.rpc}/rpc/v1", json.dumps(request)],
            capture_output=True, text=True, timeout=PATIENCE)
        expect(out.returncode == 0, f"{self.name}: {out.stderr}")
        return json.loads(out.stdout)["result"]["hash"]

    def query(self, sql):
        """The rows of a query, each a list of strings; None while the node does not answer."""
        out = self.command("query", sql)
        return [line.split("\t") for line in out.stdout.splitlines()[1:]] if out.returncode == 0 else None


class Network:
    """A leader, two validators and a sentry of a new chain."""

    names = ["leader", "validator-1", "validator-2", "sentry"]

    def __init__(self, apus, directory):
        self.apus = apus
        self.owner = f"{directory}/owner.json"
        self.nodes = self.make_nodes(directory)
        self.nonce = 0
        owner = self.node_id(self.run("key", "new", self.owner))
        ids = self.ids = {}
        for i, name in enumerate(self.names):
            kind = ["secp256k1", "ed25519"][i % 2]
            ids[name] = self.node_id(self.run("key", "new", f"{directory}/{name}.key", "--type", kind))
        self.init("leader", directory, "--chain-id", CHAIN, "--owner", owner)
        genesis_file = f"{directory}/leader/genesis.json"
        with open(genesis_file) as file:
            genesis = json.load(file)
        genesis["validators"] = [
            {"identifier": key, "key_type": kind, "power": 1}
            for key, kind in (ids[name].split("#") for name in self.names if "sentry" not in name)
        ]
        with open(genesis_file, "w") as file:
            json.dump(genesis, file)
        for name in self.names[1:]:
            boot = self.bootnode(name)
            address = f"{ids[boot]}@{self.route(name, self.nodes[boot])}"
            self.init(name, directory, "--genesis", genesis_file, "--bootnode", address)

    def make_nodes(self, directory):
        ports = free_ports(2 * len(self.names))
        return {
            name: Node(
                self.apus, f"{directory}/{name}", f"127.0.0.1:{ports[2 * i]}", f"127.0.0.1:{ports[2 * i + 1]}")
            for i, name in enumerate(self.names)
        }

    @staticmethod
    def bootnode(name):
        """The name of the bootnode of the node `name`."""
        return "validator-1" if "sentry" in name else "leader"

    def route(self, name, target):
        """The address at which the node `name` reaches `target`."""
        return target.p2p

    def init(self, name, directory, *more):
        node = self.nodes[name]
        self.run(
            "init", "--root", node.root, "--key", f"{directory}/{name}.key", "--listen", node.p2p,
            "--rpc-listen", node.rpc, *more)
        log_as_text(node)
        change(f"{node.root}/config.toml", r'propose_timeout = "[^"]*"', 'propose_timeout = "100ms"')

    def run(self, *arguments):
        out = subprocess.run([self.apus, *arguments], capture_output=True, text=True, timeout=PATIENCE)
        expect(out.returncode == 0, f"apus {' '.join(arguments)}: {out.stderr}")
        return out.stdout

    @staticmethod
    def node_id(text):
        return re.search(r"node ID\s+(\S+)", text).group(1)

    def __enter__(self):
        for node in self.nodes.values():
            node.start()
        try:
            wait(lambda: next((n.name + " has no peers" for n in self.nodes.values() if self.alone(n)), None))
        except BaseException:
            self.__exit__()
            raise
        return self

    @staticmethod
    def alone(node):
        status = node.status()
        return status is None or status["peers"] == "0"

    def __exit__(self, *_):
        for node in self.nodes.values():
            node.kill()

    # Transactions

    def send(self, sql, at, nonce, *more):
        return self.nodes[at].command("tx", "send", sql, "--key", self.owner, "--nonce", str(nonce), *more)

    def commit(self, sql, at):
        """Sends the owner's next statement and waits for its commit."""
        self.nonce += 1
        out = self.send(sql, at, self.nonce, "--wait")
        expect(out.returncode == 0 and "committed" in out.stdout, f"{sql} at {at}: {out.stderr}")

    def insert(self, rows, at):
        for row in rows:
            self.commit(f"INSERT INTO t VALUES ({row}, 'row {row}')", at)

    def create_table(self):
        self.commit("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, name TEXT)", "sentry")

    def agree(self, rows):
        """Waits until every node has exactly the rows 0..<rows and the same height and hashes."""

        def difference():
            seen = {}
            for name, node in self.nodes.items():
                status = node.status()
                found = node.query("SELECT id, name FROM t ORDER BY id")
                if status is None or found is None:
                    return f"{name} does not answer"
                expected = [[str(i), f"row {i}"] for i in range(rows)]
                if found != expected:
                    return f"{name} has {len(found)} rows, not {rows}"
                seen[name] = (status["height"], status["block"], status["app hash"])
            return None if len(set(seen.values())) == 1 else f"nodes differ: {seen}"

        wait(difference)


def log_as_text(node):
    """Makes a node log lines of text to its file, where it would log JSON."""
    change(f"{node.root}/config.toml", 'format = "auto"', 'format = "plain"')


def serve_metrics(node):
    """Makes a node serve metrics from its next start on, at `node.metrics`."""
    node.metrics = f"127.0.0.1:{free_ports(1)[0]}"
    file = f"{node.root}/config.toml"
    change(file, r"(\[metrics\][^\[]*enabled = )false", r"\1true")
    change(file, r'listen = "127.0.0.1:8485"', f'listen = "{node.metrics}"')


def change(file, pattern, replacement):
    """Replaces the only match of a pattern in a text file."""
    with open(file) as f:
        text = f.read()
    text, count = re.subn(pattern, replacement, text)
    expect(count == 1, f"{file}: {count} matches of {pattern}, expected 1")
    with open(file, "w") as f:
        f.write(text)
