"""How a node is operated: signals, transactions across a restart."""

import os
import signal
import subprocess
import time

from bad_input import refused
from network import PATIENCE, expect, wait
from queries import Alone


def last_lines(node):
    with open(node.log, errors="replace") as log:
        return log.read()


def signals_end_a_node_in_order_or_are_ignored(apus, directory):
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        with Alone(apus, f"{directory}/{number.name}") as node:
            for ignored in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGPIPE, signal.SIGPROF):
                node.process.send_signal(ignored)
            time.sleep(0.3)
            expect(node.status() is not None, "a signal that nobody means ended the node")
            node.process.send_signal(number)
            code = node.process.wait(PATIENCE)
            expect(code == 0, f"{number.name}: exit code {code}")
            expect(number.name in last_lines(node), last_lines(node))


def exit_with_parent_needs_something_that_ends(apus, directory):
    with Alone(apus, directory) as node:
        run = [apus, "run", "--root", node.root, "--exit-with-parent"]
        refused(run, "--exit-with-parent", "standard input")
        out = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *run], capture_output=True, text=True, timeout=PATIENCE)
        expect(out.returncode == 1 and "--exit-with-parent" in out.stderr, f"{out.returncode}: {out.stderr}")


def one_sender_sends_twice_within_a_block(apus, directory):
    with Alone(apus, directory) as node:
        key = f"{node.root}/nodekey.json"
        for number in range(5):
            out = node.command("tx", "send", f"SELECT {number}", "--key", key)
            expect(out.returncode == 0, out.stderr)
        wait(lambda: None if node.status()["transactions"] == "5" else f"{node.status()['transactions']} are committed")


def what_waits_outlives_a_restart(apus, directory):
    with Alone(apus, directory) as node:
        key = f"{node.root}/nodekey.json"
        # It waits for the first, which nobody has sent.
        out = node.command("tx", "send", "SELECT 2", "--key", key, "--nonce", "2")
        expect(out.returncode == 0, out.stderr)
        node.process.send_signal(signal.SIGTERM)
        expect(node.process.wait(PATIENCE) == 0, "the node did not end in order")
        expect(os.path.exists(f"{node.root}/mempool"), "no mempool file")
        node.start()
        wait(lambda: None if node.status() else "the node does not answer")
        out = node.command("tx", "send", "SELECT 1", "--key", key, "--nonce", "1", "--wait")
        expect(out.returncode == 0, out.stderr)
        wait(lambda: None if node.status()["transactions"] == "2" else "the second is not committed")


TESTS = [
    signals_end_a_node_in_order_or_are_ignored,
    exit_with_parent_needs_something_that_ends,
    one_sender_sends_twice_within_a_block,
    what_waits_outlives_a_restart,
]
