"""The part `growth` of perf/bench: what grows with the age of a chain, and what does not.

A part is a subclass of `Part` in a file of its own, listed in PARTS below. Everything else follows from its declarations:
tables, JSON, pictures, and the check of the shape, which is the ratio of a cost at the largest size to that at the smallest.
"""

from rig import report

from .index import Index
from .reads import Reads
from .start import Start
from .state import State
from .waiting import HandOver, Refusal, Spacing

PARTS = [Start, Index, State, Reads, Refusal, HandOver, Spacing]


def run(apus, simulator, names, is_short, output):
    """Runs the parts with these names, or all. Writes `growth.json` and a picture of each part to the directory `output`.
    Returns whether every cost has the shape that it should have."""
    kinds = [kind for kind in PARTS if not names or kind.name in names]
    return report.run("growth", kinds, apus, simulator, is_short, output)
