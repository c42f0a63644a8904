"""Nodes that are stopped or killed in the middle of work, and come back."""

import random
import threading
import time

from network import Network, expect


def killed_validator_catches_up(apus, directory):
    with Network(apus, directory) as network:
        network.create_table()
        network.insert(range(0, 3), "sentry")
        network.nodes["validator-2"].kill()
        network.insert(range(3, 8), "sentry")
        network.nodes["validator-2"].start()
        network.agree(8)
        network.insert(range(8, 10), "validator-2")
        network.agree(10)


def killed_leader_goes_on(apus, directory):
    with Network(apus, directory) as network:
        network.create_table()
        network.insert(range(0, 3), "sentry")
        network.nodes["leader"].kill()
        # A transaction sent meanwhile waits for the leader.
        network.nonce += 1
        out = network.send("INSERT INTO t VALUES (3, 'row 3')", "sentry", network.nonce)
        expect(out.returncode == 0, out.stderr)
        network.nodes["leader"].start()
        network.agree(4)
        network.insert(range(4, 8), "sentry")
        network.agree(8)


def every_node_stops_cleanly_and_starts_again(apus, directory):
    with Network(apus, directory) as network:
        network.create_table()
        network.insert(range(0, 3), "sentry")
        network.agree(3)
        for node in network.nodes.values():
            code = node.stop()
            expect(code == 0, f"{node.name}: exit code {code}")
        for node in network.nodes.values():
            node.start()
        network.agree(3)
        network.insert(range(3, 5), "sentry")
        network.agree(5)


def ten_kills_lose_nothing(apus, directory):
    """Kills nodes at random moments while transactions flow."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    with Network(apus, directory) as network:
        network.create_table()
        sent, failure, done = [0], [], threading.Event()

        def submit():
            try:
                while not done.is_set():
                    submit_row(network, sent[0])
                    sent[0] += 1
            except BaseException as error:
                failure.append(error)

        flow = threading.Thread(target=submit)
        flow.start()
        try:
            for _ in range(10):
                time.sleep(chance.uniform(0.05, 1.5))
                node = network.nodes[chance.choice(network.names)]
                node.kill()
                time.sleep(chance.uniform(0, 0.5))
                node.start()
        finally:
            done.set()
            flow.join()
        if failure:
            raise AssertionError(f"seed {seed}: {failure[0]}")
        try:
            network.agree(sent[0])
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        expect(sent[0] > 0, "nothing was committed")


def submit_row(network, row):
    """Sends one row to any node that accepts it, until a node reports it committed."""
    sql, nonce = f"INSERT INTO t VALUES ({row}, 'row {row}')", row + 2
    deadline = time.monotonic() + 90
    reply = "no node was asked"
    while time.monotonic() < deadline:
        for name in ["sentry", "validator-1", "validator-2", "leader"]:
            out = network.send(sql, name, nonce)
            reply = f"{name}: {out.stdout}{out.stderr}"
            until = time.monotonic() + 3
            while time.monotonic() < until:
                if network.nodes[name].query(f"SELECT id FROM t WHERE id = {row}") == [[str(row)]]:
                    return
                if out.returncode != 0 and "exists" not in out.stderr and "nonce" not in out.stderr:
                    break
                time.sleep(0.05)
    raise AssertionError(f"row {row} was not committed; {reply}")


TESTS = [
    killed_validator_catches_up, killed_leader_goes_on, every_node_stops_cleanly_and_starts_again,
    ten_kills_lose_nothing,
]
