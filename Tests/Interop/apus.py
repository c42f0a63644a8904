"""Starts real `apus` processes on loopback, and ends them by their process IDs."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time

import nacl.signing

TIME_LIMIT = 60  # the maximum time of a command, in seconds


class Apus:
    """The program under test, and its running processes."""

    def __init__(self, binary, directory):
        self.binary = binary
        self.directory = directory
        self.running = []

    def start(self, *arguments):
        """Starts a long-running process whose output can be read, and returns it."""
        log = tempfile.TemporaryFile(dir=self.directory)
        process = subprocess.Popen(
            [self.binary, *arguments], stdout=subprocess.PIPE, stderr=log, text=True)
        process.log = log
        self.running.append(process)
        return process

    def serve(self, identity, reactor):
        """Starts `apus perf --listen` on a free port. Returns the process and its full address."""
        process = self.start(
            "perf", "--listen", "/ip4/127.0.0.1/tcp/0", "--key", identity, "--reactor", reactor)
        address = process.stdout.readline().strip()
        assert "/p2p/" in address, f"no address from apus perf --listen: {errors(process)}"
        return process, address

    def run(self, *arguments, check=True):
        """Runs a command to its end. Returns exit code, standard output and standard error."""
        done = subprocess.run(
            [self.binary, *arguments], capture_output=True, text=True, timeout=TIME_LIMIT)
        if check:
            assert done.returncode == 0, f"apus {arguments[0]}: {done.stderr.strip()}"
        return done

    def identity(self, key_type):
        """Creates a key file."""
        path = os.path.join(self.directory, f"{key_type}.json")
        if not os.path.exists(path):
            self.run("key", "new", path, "--type", key_type)
        return path

    def stop(self, process):
        """Stops a process as an operator would, and asserts that it stops cleanly."""
        self.running.remove(process)
        process.send_signal(signal.SIGINT)
        try:
            code = process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("the process does not end on SIGINT")
        assert code == 0, f"exit code {code}: {errors(process)}"

    def end(self):
        """Kills all remaining processes."""
        for process in self.running:
            process.kill()
            process.wait()


def errors(process):
    process.log.seek(0)
    return process.log.read().decode(errors="replace")[-2000:]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Node:
    """`apus run` as the only validator of a new chain, or as a sentry of another node's chain that dials only
    `bootnode`."""

    chain = "interop"

    def __init__(self, apus, key_type, reactor, chain_of=None, bootnode=None):
        self.apus = apus
        kind = "sentry" if chain_of else "node"
        self.root = os.path.join(apus.directory, f"{kind}-{key_type}-{reactor}")
        self.p2p, self.rpc = free_port(), f"127.0.0.1:{free_port()}"
        # The signing account has its own Ed25519 key, so that transactions can be made here.
        account = os.path.join(apus.directory, "account.json")
        if not os.path.exists(account):
            apus.run("key", "new", account, "--type", "ed25519")
        self.account = account
        with open(account) as file:
            self.signer = nacl.signing.SigningKey(bytes.fromhex(json.load(file)["key"])[:32])
        if chain_of:
            role = ["--genesis", os.path.join(chain_of.root, "genesis.json"), "--bootnode", bootnode]
        else:
            role = ["--chain-id", self.chain, "--owner", f"{bytes(self.signer.verify_key).hex()}#ed25519"]
        apus.run(
            "init", "--root", self.root, "--key-type", key_type, "--listen", f"127.0.0.1:{self.p2p}",
            "--rpc-listen", self.rpc, *role)
        config = os.path.join(self.root, "config.toml")
        with open(config) as file:
            text = file.read()
        with open(config, "w") as file:
            file.write(text.replace('driver = "auto"', f'driver = "{reactor}"'))
        self.process = apus.start("run", "--root", self.root)
        self.address = f"/ip4/127.0.0.1/tcp/{self.p2p}"
        deadline = time.monotonic() + 20
        while True:
            found = apus.run("identify", self.address, check=False)
            if found.returncode == 0:
                break
            assert time.monotonic() < deadline, f"the node does not answer: {errors(self.process)}"
            time.sleep(0.2)
        self.address += f"/p2p/{found.stdout.split()[1]}"

    def send(self, sql):
        """Commits a statement. Returns its transaction ID."""
        sent = self.apus.run("tx", "send", sql, "--key", self.account, "--wait", "--rpc", self.rpc)
        return sent.stdout.split()[0]

    def height(self):
        """The height of the latest committed block."""
        shown = self.apus.run("status", "--rpc", self.rpc).stdout
        return int(next(line.split()[1] for line in shown.splitlines() if line.startswith("height")))

    def is_committed(self, txid):
        """Waits until the transaction is committed without an error."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            shown = self.apus.run("tx", "show", txid, "--rpc", self.rpc, check=False).stdout
            if "code 0" in shown and "not committed" not in shown:
                return True
            time.sleep(0.2)
        return False
