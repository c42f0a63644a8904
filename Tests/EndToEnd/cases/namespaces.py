"""Ten hosts with faults: a leader that is killed repeatedly, a validator that is cut off, a sentry that starts late."""

import contextlib
import os
import threading
import time

from hosts import HostNetwork, Hosts
from network import change, expect, wait

# The maximum time in which all nodes must agree after the faults, in seconds.
PATIENCE = 120
# The number of blocks that the late sentry syncs; committing 5,000 takes four minutes.
BLOCKS = int(os.environ.get("LATE_BLOCKS", 1000))


class Flow:
    """A client that sends one row after another during the faults.

    `sent` counts committed rows; `reported` holds the rows whose commit a node reported.
    """

    def __init__(self, network):
        self.network, self.sent, self.reported, self.failure = network, 0, [], None
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def run(self):
        try:
            while not self.done.is_set():
                self.submit(self.sent)
                self.sent += 1
        except BaseException as error:
            self.failure = error

    def submit(self, row):
        """Sends a row to one node after another until one reports or shows its commit."""
        sql = f"INSERT INTO t VALUES ({row}, 'row {row}')"
        names = ["sentry-1", "validator-3", "sentry-2", "validator-5"]
        deadline = time.monotonic() + PATIENCE
        reply = ""
        while time.monotonic() < deadline:
            for name in names:
                out = self.network.send(sql, name, row + 2, "--wait")
                reply = f"{name}: {out.stdout}{out.stderr}"
                if out.returncode == 0 and "committed" in out.stdout:
                    self.reported.append(row)
                    return
                if self.network.nodes[name].query(f"SELECT id FROM t WHERE id = {row}") == [[str(row)]]:
                    return
        raise AssertionError(f"row {row} was not committed; {reply}")

    def check(self):
        if self.failure:
            raise AssertionError(f"client: {self.failure}") from self.failure
        expect(self.sent > 10, f"only {self.sent} rows were committed")
        expect(len(self.reported) > 10, f"only {len(self.reported)} rows were reported as committed")


@contextlib.contextmanager
def running(apus, directory):
    expect(os.geteuid() == 0, "network namespaces need root")
    with Hosts(HostNetwork.names) as hosts, contextlib.ExitStack() as stack:
        network = HostNetwork(apus, directory, hosts)
        for node in network.nodes.values():
            configuration = f"{node.root}/config.toml"
            change(configuration, r'propose_timeout = "[^"]*"', 'propose_timeout = "20ms"')
            change(configuration, r'empty_block_timeout = "[^"]*"', 'empty_block_timeout = "30ms"')
            change(configuration, r'level = "[^"]*"', 'level = "warn"')
        change(f"{network.nodes[network.late].root}/config.toml", "pex = true", "pex = false")
        stack.enter_context(network)
        network.commit("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, name TEXT)", "sentry-1")
        yield network


def height(network, name):
    status = network.nodes[name].status()
    return int(status["height"]) if status else 0


def level(network, rows, names):
    """Checks that every node has the same block hashes and exactly the rows."""
    least = min(height(network, name) for name in names)
    expect(least > 0, "a node does not answer")

    def behind():
        for name in names:
            if height(network, name) < least:
                return f"{name} is below height {least}"
            found = network.nodes[name].query("SELECT id, name FROM t ORDER BY id")
            if found != [[str(i), f"row {i}"] for i in range(rows)]:
                return f"{name} has {found and len(found)} rows instead of {rows}"
        return None

    wait(behind, PATIENCE)
    for at in sorted({1, least // 3, least // 2, least}):
        hashes = {name: network.nodes[name].block_hash(at) for name in names}
        expect(len(set(hashes.values())) == 1, f"the nodes have forked at height {at}: {hashes}")
    tips = {name: height(network, name) for name in names}
    wait(lambda: next((f"{n} stays at {t}" for n, t in tips.items() if height(network, n) <= t), None), PATIENCE)


def leader_killed_every_five_seconds(apus, directory):
    with running(apus, directory) as network:
        names = [name for name in network.names if name != network.late]
        with Flow(network) as flow:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                time.sleep(4.5)
                network.nodes["leader"].kill()
                time.sleep(0.5)
                network.nodes["leader"].start()
        flow.check()
        level(network, flow.sent, names)


def validator_cut_off_for_thirty_seconds(apus, directory):
    with running(apus, directory) as network:
        names = [name for name in network.names if name != network.late]
        with Flow(network) as flow:
            time.sleep(3)
            network.hosts.wire("validator-6", "down")
            before = height(network, "validator-6")
            time.sleep(30)
            stuck, others = height(network, "validator-6"), height(network, "validator-2")
            expect(stuck - before < 10, f"validator-6 committed heights {before} to {stuck} while disconnected")
            expect(others > stuck + 10, f"the others are at {others}, validator-6 at {stuck}")
            network.hosts.wire("validator-6", "up")
            time.sleep(3)
        flow.check()
        level(network, flow.sent, names)


def late_sentry_syncs_the_chain(apus, directory):
    with running(apus, directory) as network:
        wait(lambda: None if height(network, "leader") >= BLOCKS else f"no {BLOCKS} blocks yet", 600)
        with Flow(network) as flow:
            network.nodes[network.late].start()
            begun, start = height(network, "leader"), time.monotonic()
            wait(lambda: None if height(network, network.late) >= begun else "the late sentry is behind", 300)
            seconds = time.monotonic() - start
            grown = height(network, "leader") - begun
            expect(grown > 0, "the network did not commit while the sentry synced")
            print(f"      {begun} blocks in {seconds:.1f} s, while the network committed {grown}", flush=True)
            # A sync takes seconds, in which few rows are committed. The sentry follows further ones.
            wait(lambda: None if flow.failure or len(flow.reported) > 10 else "few rows are committed", PATIENCE)
        flow.check()
        level(network, flow.sent, network.names)


TESTS = [
    leader_killed_every_five_seconds, validator_cut_off_for_thirty_seconds,
    late_sentry_syncs_the_chain,
]
