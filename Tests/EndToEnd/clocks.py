"""Nodes whose wall clocks are wrong for a while."""

import os
import re
import subprocess

from network import PATIENCE, Network, Node, expect, free_ports, wait

DAY = 86_400


def shimmed(node, directory, seconds):
    """Has a node's processes run with a clock that `set_clock` sets."""
    shim = f"{directory}/clock_shim.so"
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clock_shim.c")
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
        wait(lambda: None if log_has(leader, "withdrawing the proposal") else "the leader withdraws nothing")
        expect(leader.status()["height"] == "0", "a time 30 days ahead was committed")
        validator = network.nodes["validator-1"]
        expect(log_has(validator, "ahead of this node's clock"), "the validator does not name its clock")
        set_clock(leader, directory, 0)
        network.insert(range(0, 2), "leader")
        leader.kill()
        leader.start()
        wait(lambda: "the leader does not answer" if network.alone(leader) else None)
        network.insert(range(2, 4), "leader")
        network.agree(4)


def chain_of_a_clock_that_was_ahead_goes_on(apus, directory):
    """One validator's clock is ten days ahead; when it is right again a second one joins."""
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


TESTS = [
    leader_with_a_clock_ahead_goes_on,
    chain_of_a_clock_that_was_ahead_goes_on,
]
