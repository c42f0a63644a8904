"""`apus load` against a small network: it measures what it says, and a stalled node shows as latency and errors."""

import json
import signal
import subprocess
import threading
import time

from network import PATIENCE, Network, expect


def load(network, at, *options):
    """The result of `apus load`, or the error that it printed."""
    out = network.nodes[at].command("load", "--key", network.owner, *options, "--json")
    return json.loads(out.stdout) if out.returncode == 0 else json.loads(out.stderr)["error"]


def remains(network, at):
    return network.nodes[at].query(
        "SELECT (SELECT count(*) FROM sqlite_schema WHERE name = 'load_measurement'), (SELECT count(*) FROM grants)")


def a_load_is_measured_and_leaves_no_table(apus, directory):
    with Network(apus, directory) as network:
        found = load(network, "sentry", "--rate", "40", "--duration", "3", "--senders", "5", "--size", "1000")
        step = found["steps"][0]
        expect(step["due"] == 120 and step["committed"] == 120 and step["errors"] == {}, str(step))
        times = step["latency_seconds"]
        expect(0 < times["min"] <= times["p50"] <= times["p99"] <= times["max"], str(times))
        expect(sum(bucket["count"] for bucket in step["latency_histogram"]) == 120, str(step["latency_histogram"]))
        expect(remains(network, "sentry") == [["0", "0"]], "something remains")
        # The nonces of the owner go on, and so does a second load, in steps.
        found = load(network, "leader", "--rate", "20", "--duration", "1", "--steps", "2")
        expect([round(step["rate"]) for step in found["steps"]] == [20, 25], str(found))
        text = network.nodes["leader"].command("load", "--key", network.owner, "--rate", "20", "--duration", "1")
        expect("20 of 20 committed" in text.stdout and "█" in text.stdout, text.stdout + text.stderr)


def a_stall_shows_as_latency_and_not_as_a_lower_rate(apus, directory):
    with Network(apus, directory) as network:
        node = network.nodes["sentry"].process

        def stall():
            time.sleep(3)
            node.send_signal(signal.SIGSTOP)
            time.sleep(3)
            node.send_signal(signal.SIGCONT)

        stalling = threading.Thread(target=stall)
        stalling.start()
        found = load(network, "sentry", "--rate", "50", "--duration", "8")
        stalling.join()
        step = found["steps"][0]
        expect(step["due"] == 400 and step["committed"] == 400, str({**step, "latency_histogram": []}))
        late = sum(bucket["count"] for bucket in step["latency_histogram"] if bucket["up_to_seconds"] > 1)
        # All that were due in the first two of the three seconds.
        expect(late >= 80 and step["latency_seconds"]["max"] > 2.5, f"{late} late, {step['latency_seconds']}")


def a_load_needs_the_owner_and_a_network(apus, directory):
    with Network(apus, directory) as network:
        node = network.nodes["leader"]
        out = node.command("load", "--key", f"{directory}/sentry.key", "--json")
        expect(out.returncode == 1 and "code 9" in json.loads(out.stderr)["error"]["message"], out.stderr)
        out = subprocess.run(
            [apus, "load", "--key", network.owner, "--rpc", "192.0.2.1:8484"], capture_output=True, text=True,
            timeout=PATIENCE)
        expect(out.returncode == 64 and "--yes" in out.stderr, out.stderr)
        for other in network.nodes.values():
            if other is not node:
                other.kill()
        # Nothing can be committed any more.
        out = node.command("load", "--key", network.owner, "--duration", "1", "--timeout", "1", "--json")
        expect(out.returncode == 1 and json.loads(out.stderr)["error"]["message"], out.stderr)


TESTS = (
    a_load_is_measured_and_leaves_no_table, a_stall_shows_as_latency_and_not_as_a_lower_rate,
    a_load_needs_the_owner_and_a_network)
