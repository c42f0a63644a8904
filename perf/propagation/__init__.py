"""The part `propagation` of perf/bench: transactions and blocks on their way from the leader to validators on other hosts.

It runs in namespaces of its own (processes, network, mounts), which end with it, however it ends.
"""

import argparse
import functools
import itertools
import json
import os
import subprocess
import sys
import tempfile

from rig import report
from rpcbench.part import Failure

from .block import MEMPOOLS, Block
from .goodput import Goodput

PERF = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
UNITS = {"mbit": 10**6, "gbit": 10**9}
# The defaults: nodes in all, the leader included; the links' bits a second each way; bytes of a block.
LINKS = [100 * UNITS["mbit"], UNITS["gbit"]]
GOODPUT_NODES = {LINKS[0]: [4, 8], LINKS[1]: [4]}
BLOCK_NODES = [5, 9, 17]
BLOCKS = [64 << 10, 1 << 20, 6 << 20, 32 << 20]
# The time from host to host, in milliseconds.
DELAYS = [0, 25]
SHORT = {"nodes": [4], "links": LINKS[:1], "delays": DELAYS[:1], "blocks": [1 << 20]}


def link(text):
    for unit, factor in UNITS.items():
        number = text.removesuffix(unit)
        if number != text and number.isdecimal() and int(number):
            return int(number) * factor
    raise argparse.ArgumentTypeError("a bandwidth such as 100mbit or 1gbit")


def several(kind):
    return lambda text: [kind(item) for item in text.split(",")]


def add_options(parser):
    parser.add_argument("--propagation", choices=["goodput", *MEMPOOLS], action="append",
                        help="measure only this of propagation; may be repeated")
    parser.add_argument("--nodes", type=several(int), metavar="NUMBER,...",
                        help="nodes of propagation, the leader included (default 4,8 for goodput, else 5,9,17)")
    parser.add_argument("--links", type=several(link), metavar="RATE,...",
                        help="bandwidths of propagation's links (default 100mbit,1gbit); spreading takes the first")
    parser.add_argument("--delays", type=several(float), metavar="MILLISECONDS,...",
                        help="times from host to host in propagation (default 0,25)")
    parser.add_argument("--blocks", type=several(int), metavar="BYTES,...",
                        help="sizes of propagation's blocks (default 65536,1048576,6291456,33554432); spreading takes the first")


def run(options, output):
    """Measures in namespaces of its own: whatever it makes ends with them."""
    chosen = {"nodes": options.nodes, "links": options.links, "delays": options.delays, "blocks": options.blocks}
    if options.short:
        chosen = {key: value or SHORT[key] for key, value in chosen.items()}
    plan = {"apus": os.path.abspath(options.apus), "output": output, "short": options.short,
            "parts": options.propagation or ["goodput", *MEMPOOLS], **chosen}
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--pid", "--fork", "--kill-child", "--mount",
               "--mount-proc", sys.executable, "-m", "propagation", json.dumps(plan)]
    # The processes inside may be killed at any time, so that their files are removed here.
    with tempfile.TemporaryDirectory(prefix="apus-propagation-") as directory:
        if subprocess.run(command, cwd=PERF, env={**os.environ, "TMPDIR": directory}).returncode:
            raise Failure("propagation has not been measured")


def measure(plan):
    """Measures according to a plan, inside the namespaces."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    kinds = []
    for rate, delay in itertools.product(plan["links"] or LINKS, plan["delays"] or DELAYS):
        for part in plan["parts"]:
            if part == "goodput":
                nodes = plan["nodes"] or GOODPUT_NODES.get(rate, BLOCK_NODES)
                kinds.append(functools.partial(Goodput, rate, delay, nodes))
            else:
                kinds += [functools.partial(Block, part, rate, delay, nodes, plan["blocks"] or BLOCKS)
                          for nodes in plan["nodes"] or BLOCK_NODES]
    report.run("propagation", kinds, plan["apus"], None, plan["short"], plan["output"])
