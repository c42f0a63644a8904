"""Nodes with wrong wall clocks, and two hosts with one key."""

import os
import re
import shutil
import subprocess

from network import PATIENCE, Network, Node, change, expect, free_ports, wait

DAY = 86_400


def shimmed(node, directory, seconds):
    """Runs a node's processes with a clock that `set_clock` sets."""
    shim = f"{directory}/clock_shim.so"
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "clock_shim.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, source, "-ldl"], check=True)
    file = f"{directory}/{node.name}.clock"
    set_clock(node, directory, seconds)
    node.within = ["env", f"LD_PRELOAD={shim}", f"CLOCK_SHIM_FILE={file}"]


def set_clock(node, directory, seconds):
    file = f"{directory}/{node.name}.clock"
    with open(file + ".new", "w") as new:
        new.write(f"{seconds}\n")
    os.replace(file + ".new", file)


def log_has(node, text):
    with open(node.log, errors="replace") as log:
        return text in log.read()


def leader_with_a_clock_ahead_goes_on(apus, directory):
    network = Network(apus, directory)
    leader = network.nodes["leader"]
    shimmed(leader, directory, 30 * DAY)
    with network:
        network.nonce += 1
        out = network.send("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, name TEXT)", "leader", network.nonce)
        expect(out.returncode == 0, out.stderr)
        wait(lambda: None if log_has(leader, "withdrawing the proposal") else "the leader does not withdraw the proposal")
        expect(leader.status()["height"] == "0", "a time 30 days ahead was committed")
        validator = network.nodes["validator-1"]
        expect(log_has(validator, "ahead of this node's clock"), "the validator does not log the clocks' difference")
        set_clock(leader, directory, 0)
        network.insert(range(0, 2), "leader")
        leader.kill()
        leader.start()
        wait(lambda: "the leader does not answer" if network.alone(leader) else None)
        network.insert(range(2, 4), "leader")
        network.agree(4)


def chain_of_a_clock_that_was_ahead_goes_on(apus, directory):
    """The only validator's clock is ten days ahead. After it is corrected a second validator joins."""
    ports = free_ports(4)
    first = Node(apus, f"{directory}/first", f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}")
    second = Node(apus, f"{directory}/second", f"127.0.0.1:{ports[2]}", f"127.0.0.1:{ports[3]}")

    def run(*arguments):
        out = subprocess.run([apus, *arguments], capture_output=True, text=True, timeout=PATIENCE)
        expect(out.returncode == 0, f"apus {' '.join(arguments)}: {out.stderr}")
        return out.stdout

    run("init", "--root", first.root, "--listen", first.p2p, "--rpc-listen", first.rpc)
    key = f"{first.root}/nodekey.json"
    node_id = re.search(r"node ID\s+(\S+)", run("key", "show", key)).group(1)
    run("init", "--root", second.root, "--genesis", f"{first.root}/genesis.json", "--listen", second.p2p,
        "--rpc-listen", second.rpc, "--bootnode", f"{node_id}@{first.p2p}")
    second_id = re.search(r"node ID\s+(\S+)", run("key", "show", f"{second.root}/nodekey.json")).group(1)
    shimmed(first, directory, 10 * DAY)

    def commit(*words, key=key):
        out = first.command("tx", *words, "--key", key, "--wait")
        expect(out.returncode == 0 and "committed" in out.stdout, f"{words}: {out.stdout} {out.stderr}")

    first.start()
    second.start()
    try:
        wait(lambda: None if first.status() and second.status() else "a node does not answer")
        commit("send", "CREATE TABLE t (id INTEGER PRIMARY KEY)")
        set_clock(first, directory, 0)
        commit("send", "INSERT INTO t VALUES (1)")
        commit("validator-join", "--power", "1", key=f"{second.root}/nodekey.json")
        commit("validator-approve", second_id)
        for value in range(2, 5):
            commit("send", f"INSERT INTO t VALUES ({value})")
        wait(lambda: None if second.query("SELECT count(*) FROM t") == [["4"]] else "the second does not follow")
    finally:
        first.kill()
        second.kill()


def copied(node, directory):
    """A node with a copy of another node's root directory, which must not run, and its own addresses."""
    ports = free_ports(2)
    copy = Node(node.apus, f"{directory}/copy", f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}")
    shutil.copytree(node.root, copy.root)
    change(f"{copy.root}/config.toml", re.escape(node.p2p), copy.p2p)
    change(f"{copy.root}/config.toml", re.escape(node.rpc), copy.rpc)
    return copy


def share_a_key(apus, directory, name):
    """Starts a copy of a node on other addresses: both stop and log the reason, and all other nodes warn."""
    network = Network(apus, directory)
    original = network.nodes[name]
    others = [node for node in network.nodes.values() if node is not original]
    shared = "two hosts run with the key of one validator"
    with network:
        network.create_table()
        network.insert(range(0, 2), "sentry")
        original.stop()
        copy = copied(original, directory)
        original.start()
        wait(lambda: f"{name} does not answer" if network.alone(original) else None)
        network.insert(range(2, 4), "sentry")
        for node in [original, *others]:
            expect(not log_has(node, shared), f"{node.name} reports a restart as another host")
        copy.start()
        try:
            wait(lambda: next(
                (f"{node.name} runs on" for node in (original, copy) if node.process.poll() is None), None), 30)
            for node in (original, copy):
                expect(node.process.returncode != 0, f"{node.name} exits with 0")
                with open(node.log, errors="replace") as log:
                    reasons = [line for line in log if " critical " in line]
                reason = f"another host votes with this node's key, {network.ids[name]}"
                expect(len(reasons) == 1 and reason in reasons[0], f"{node.name} logs {reasons}")
            wait(lambda: next((f"{node.name} does not warn" for node in others if not log_has(node, shared)), None), 10)
        finally:
            copy.kill()
        original.kill()
        original.start()
        network.insert(range(4, 6), "sentry")
        network.agree(6)


def second_host_with_a_validators_key(apus, directory):
    share_a_key(apus, directory, "validator-2")


def second_host_with_the_leaders_key(apus, directory):
    share_a_key(apus, directory, "leader")


def second_host_with_a_sentrys_key(apus, directory):
    """Two sentries with one key do no harm: nodes connected to both warn, and both keep running."""
    network = Network(apus, directory)
    original, neighbour = network.nodes["sentry"], network.nodes["validator-1"]
    shared = "two hosts run with the key of one node"
    with network:
        network.create_table()
        original.stop()
        copy = copied(original, directory)
        original.start()
        wait(lambda: "the sentry does not answer" if network.alone(original) else None)
        expect(not log_has(neighbour, shared), "a restart is reported as another host")
        copy.start()
        try:
            wait(lambda: None if log_has(neighbour, shared) else f"{neighbour.name} does not warn", 30)
            network.insert(range(0, 2), "leader")
            for node in (original, copy):
                expect(node.process.poll() is None, f"{node.name} stopped")
        finally:
            copy.kill()
        network.agree(2)


TESTS = [
    leader_with_a_clock_ahead_goes_on,
    chain_of_a_clock_that_was_ahead_goes_on,
    second_host_with_a_validators_key,
    second_host_with_the_leaders_key,
    second_host_with_a_sentrys_key,
]
