"""Profiles of a running node, and the probes that tracers find in the program."""

import json
import subprocess
import threading
import xml.etree.ElementTree

from alone import Alone
from network import PATIENCE, expect

SVG = "{http://www.w3.org/2000/svg}"


def profile(node, directory, *options):
    """The summary and the functions of a flame graph; None if this machine's kernel lets nobody observe a process."""
    graph = f"{directory}/graph.svg"
    out = subprocess.run(
        [node.apus, "profile", "--pid", str(node.process.pid), "--seconds", "2", "--output", graph, "--json", *options],
        capture_output=True, text=True, timeout=PATIENCE)
    if out.returncode != 0:
        message = json.loads(out.stderr)["error"]["message"]
        expect("perf record" in message and "kernel.perf_event_paranoid" in message, message)
        print(f"      no profile: {message}")
        return None
    root = xml.etree.ElementTree.parse(graph).getroot()
    return json.loads(out.stdout), [title.text for title in root.iter(f"{SVG}title")]


def a_busy_node_is_profiled(apus, directory):
    with Alone(apus, directory) as node:
        ended = threading.Event()

        def ask():
            while not ended.is_set():
                node.call("user.ping", message="x" * 1000)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            running = profile(node, directory, "--frequency", "2000", "--folded", f"{directory}/folded")
            waiting = profile(node, directory, "--off-cpu")
        finally:
            ended.set()
            thread.join()
        if running:
            summary, functions = running
            http = [each for each in summary["threads"] if each["name"] == "apus-http"]
            expect(http and http[0]["samples"] > 0 and http[0]["waits"] > 0, summary)
            expect(any("Reactor.EventLoop.turn:" in each for each in functions), functions)
            with open(f"{directory}/folded") as file:
                stacks = [line.rsplit(" ", 1) for line in file]
            expect(sum(int(weight) for _, weight in stacks) == sum(each["samples"] for each in summary["threads"]), stacks)
        if waiting:
            summary, functions = waiting
            http = [each for each in summary["threads"] if each["name"] == "apus-http"]
            expect(http and http[0]["asleep_seconds"] + http[0]["ready_seconds"] > 0.1, summary)
            expect(any(each.startswith("asleep: ") for each in functions), functions)


def who_cannot_be_profiled_is_named(apus, directory):
    node = Alone(apus, directory)
    for options, words in (
        (["--pid", "2147483647"], "No such file or directory"), (["--seconds", "0"], "1 to 600"),
        (["--frequency", "0"], "1 to 10000"),
    ):
        out = subprocess.run(
            [node.apus, "profile", "--output", f"{directory}/graph.svg", *options], capture_output=True, text=True,
            timeout=PATIENCE)
        expect(out.returncode != 0 and words in out.stderr and out.stderr.count("\n") == 1, out.stderr)


def the_program_has_its_probes(apus, directory):
    notes = subprocess.run(["readelf", "-n", apus], capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    for probe in ("block_stage", "transaction_stage"):
        expect(f"Provider: apus\n    Name: {probe}\n" in notes, notes)


TESTS = [a_busy_node_is_profiled, who_cannot_be_profiled_is_named, the_program_has_its_probes]
