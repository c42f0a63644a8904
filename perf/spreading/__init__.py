"""The part `spreading` of perf/bench: ways of spreading a cold block, in a model with virtual time.

A strategy is a class in `strategies.py`, a part a condition in PARTS below. Nothing here runs Apus.
"""

import dataclasses
import functools

from rig import report

from . import check
from .part import GBIT, Condition, Spreading
from .strategies import Coded, Compact, Plain, Shares, Tree

# Validators.
SIZES, SHORT_SIZES = [16, 100, 1000], [4, 16]
# How many others a keeper gives to, where there is a fan-out.
RELAYED = 16


def compared():
    """The strategies that each condition compares."""
    return [
        Plain(), Compact(), Tree(2), Tree(4), Shares(), Shares(remembers="skip", name="shares that remember"),
        Shares(fan_out=RELAYED, name=f"shares, fan-out {RELAYED}"), Coded(1.25, beyond=RELAYED), Coded(1.5, beyond=RELAYED)]


def routed():
    """Those of them that differ in a mesh."""
    return [Compact(), Tree(2), Tree(4), Shares(), Coded(1.25), Coded(1.5)]


def rules():
    """Variants of shares."""
    return [
        Shares(name="as first built"),
        Shares(second="quotient", name="second keeper p / m mod m"),
        Shares(rule="share", name="time-out after the own share"),
        Shares(rule="quiet", name="time-out when nothing comes"),
        Shares(rule="most", name="time-out after three quarters"),
        Shares(patience=0.1, name="silence of 100 ms"),
        Shares(patience=0.5, name="silence of 500 ms"),
        Shares(rounds=4, name="4 rounds before the leader"),
        Shares(is_eager=True, name="second keepers ask at once"),
        Shares(remembers="skip", name="remembered keepers are skipped"),
        Shares(remembers="next", name="the next keeper is asked instead"),
        Shares(rule="capped-most", rounds=3, name="three quarters, 3 rounds, at most 500 ms"),
        Shares(rule="most", rounds=3, name="three quarters, 3 rounds"),
        Shares(rule="most", rounds=4, is_eager=True, name="three quarters, 4 rounds, at once"),
        Shares(rule="most", rounds=4, is_eager=True, remembers="next", name="the same, and the next keeper")]


def by_validators(name, title, sizes=SIZES, strategies=compared, **condition):
    """A part with the number of validators as its size."""
    def case(base, size):
        return dataclasses.replace(base, validators=size, **condition), strategies()
    return name, title, "validators", sizes, SHORT_SIZES, case


def faulty(kind, percent):
    # A thousand validators take a minute.
    sizes = SIZES if percent == 20 else SIZES[:-1]
    return by_validators(f"{kind}-{percent}", f"{percent} % of the validators are {kind}", sizes, faults=(kind, percent / 100))


def keepers(base, size):
    return dataclasses.replace(base, validators=1000), [Shares(keepers=size, name="shares")]


def threshold(base, size):
    return dataclasses.replace(base, block=size), [Compact(), Shares()]


# Name, title, unit, sizes, sizes of the short form, and the condition and strategies at a size.
PARTS = [
    by_validators("sound", "all validators are sound"),
    *[faulty(kind, percent) for kind in ("slow", "silent", "lying") for percent in (1, 5, 20)],
    by_validators("mesh", "each node is connected to 50 peers", SIZES[1:], routed, degree=50),
    by_validators("mesh-silent-5", "each node is connected to 50 peers, 5 % of the validators are silent", SIZES[1:], routed,
                  degree=50, faults=("silent", 0.05)),
    by_validators("gigabit", "links of 1 Gbit/s", SIZES[:-1], bandwidth=GBIT),
    by_validators("small", "transactions of 4 KiB", SHORT_SIZES, transaction=4096),
    by_validators("slow-start", "windows of TCP that begin with ten packets", SIZES[:-1], slow_start=True),
    by_validators("rules", "shares with other rules", SIZES[:-1], rules),
    by_validators("rules-silent-20", "shares with other rules, 20 % of the validators are silent", SIZES[:-1], rules,
                  faults=("silent", 0.2)),
    by_validators("rules-slow-20", "shares with other rules, 20 % of the validators are slow", SIZES[:-1], rules,
                  faults=("slow", 0.2)),
    ("keepers", "1,000 validators, of whom some are keepers", "keepers", [16, 64, 250, 1000], [16], keepers),
    ("threshold", "16 validators", "bytes of the block", [64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20],
     [256 << 10, 1 << 20], threshold),
]
NAMES = [part[0] for part in PARTS]
# The short form, which takes seconds.
SHORT = ["sound", "silent-20", "lying-20", "threshold"]


def add_options(parser):
    parser.add_argument("--spreading", choices=NAMES, action="append", help="measure only this of spreading; may be repeated")


def run(names, bandwidth, block, is_short, output):
    """Compares under the conditions with these names, or all, with links of a bandwidth in bits a second and a block of so many
    bytes, if given. Writes `spreading.json` and pictures to the directory `output`."""
    check.check()
    base = Condition()
    if bandwidth:
        base = dataclasses.replace(base, bandwidth=bandwidth / 8)
    if block:
        base = dataclasses.replace(base, block=block)
    chosen = names or (SHORT if is_short else NAMES)
    kinds = [
        functools.partial(Spreading, name, title, unit, sizes, short_sizes, functools.partial(case, base))
        for name, title, unit, sizes, short_sizes, case in PARTS if name in chosen]
    report.run("spreading", kinds, None, None, is_short, output)
