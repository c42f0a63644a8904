"""Validators that join and leave by the command line, and a node without a mempool."""

import re
import subprocess

from network import PATIENCE, Network, change, expect, wait


def validators_join_and_go(apus, directory):
    with Network(apus, directory) as network:
        network.create_table()
        ids = {name: network.nodes[name].status()["node"] for name in network.names}

        def send(name, *arguments):
            node = network.nodes[name]
            return node.command("tx", *arguments, "--key", f"{node.root}/nodekey.json", "--wait")

        def commit(name, *arguments):
            out = send(name, *arguments)
            expect(out.returncode == 0 and "committed" in out.stdout, f"{arguments} by {name}: {out.stderr}")

        def shown(name="leader"):
            return network.nodes[name].command("validators").stdout

        expect(len(re.findall("^validator ", shown(), re.M)) == 3, shown())
        commit("sentry", "validator-join", "--power", "1")
        wait(lambda: None if re.search(f"^join .*{ids['sentry']}.*approved by 0 of 3", shown(), re.M) else shown())
        out = send("sentry", "validator-approve", ids["sentry"])
        expect(out.returncode != 0 and "cannot approve own join request" in out.stderr, out.stderr)
        expect(len(out.stderr.splitlines()) == 1, out.stderr)
        commit("leader", "validator-approve", ids["sentry"])
        commit("validator-1", "validator-approve", ids["sentry"])

        def roles():
            return {name: network.nodes[name].status()["role"] for name in network.names}

        wait(lambda: None if roles()["sentry"] == "validator" else f"{roles()}")
        expect(len(re.findall("^validator ", shown(), re.M)) == 4, shown())
        for name in ["leader", "validator-1", "sentry"]:
            commit(name, "validator-remove", ids["validator-2"])
        commit("sentry", "validator-leave")
        expected = {"leader": "leader", "validator-1": "validator", "validator-2": "sentry", "sentry": "sentry"}
        wait(lambda: None if roles() == expected else f"{roles()}")
        network.insert(range(0, 3), "sentry")
        network.agree(3)


def blocks_only_node_follows(apus, directory):
    with Network(apus, directory) as network:
        network.create_table()
        network.insert(range(0, 2), "sentry")
        for name in ["sentry", "validator-2"]:
            node = network.nodes[name]
            node.stop()
            change(f"{node.root}/config.toml", r"(\[mempool\]\n(?:#.*\n)*)#? ?enabled = true", r"\1enabled = false")
        refused = subprocess.run(
            [apus, "run", "--root", network.nodes["validator-2"].root], capture_output=True, text=True,
            timeout=PATIENCE)
        expect(refused.returncode != 0 and "mempool.enabled is false" in refused.stderr, refused.stderr)
        config = f"{network.nodes['validator-2'].root}/config.toml"
        change(config, r"(\[mempool\][^\[]*\n)enabled = false", r"\1enabled = true")
        for name in ["sentry", "validator-2"]:
            network.nodes[name].start()
        network.insert(range(2, 5), "leader")
        network.agree(5)
        expect("blocks only" in network.nodes["sentry"].status()["mempool"], f"{network.nodes['sentry'].status()}")
        out = network.send("SELECT 1", "sentry", network.nonce + 1)
        expect(out.returncode != 0 and "blocks-only" in out.stderr, out.stderr)
        expect(len(out.stderr.splitlines()) == 1, out.stderr)


TESTS = [validators_join_and_go, blocks_only_node_follows]
