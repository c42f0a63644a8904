"""The part `growth` of perf/bench: what grows with the age of a chain, and what does not.

A part is a subclass of `Part` in a file of its own, listed in PARTS below. Everything else follows from its declarations:
tables, JSON, pictures, and the check of the shape, which is the ratio of a cost at the largest size to that at the smallest.
"""

import json
import os
import platform
import shutil
import tempfile

from . import picture
from .index import Index
from .part import Space
from .reads import Reads
from .start import Start
from .state import State
from .waiting import HandOver, Refusal, Spacing

PARTS = [Start, Index, State, Reads, Refusal, HandOver, Spacing]


def measured(part, sizes):
    """Measures a part at each size. Returns its record for the JSON file."""
    values = {key: [] for key in part.figures}
    for size in sizes:
        found = part.measure(size)
        for key in part.figures:
            values[key].append(found[key])
        print(f"  {size:>12,} {part.unit}: "
              + ", ".join(f"{figure.name} {found[key]:.4g} {figure.unit}" for key, figure in part.figures.items()),
              flush=True)
    return {
        "part": part.name, "title": part.title, "size": part.unit, "sizes": sizes,
        "figures": [{"name": figure.name, "unit": figure.unit, "values": values[key],
                     "ratio": values[key][-1] / values[key][0], "largest_ratio": figure.ratio, "target": figure.target}
                    for key, figure in part.figures.items()],
    }


def judge(record, is_short, row):
    """Prints a line for each limit. Returns whether all shapes are as they should be; a missed target is only printed, because
    it depends on the machine."""
    is_flat = True
    for figure in record["figures"]:
        what = f"{record['part']}: {figure['name']}"
        if figure["largest_ratio"]:
            holds = figure["ratio"] <= figure["largest_ratio"]
            is_flat = is_flat and holds
            ends = f"{record['sizes'][-1]:,} / {record['sizes'][0]:,} {record['size']}"
            row(f"{what}, {ends}", f"{figure['ratio']:.2f}", f"<= {figure['largest_ratio']}", holds)
        if figure["target"] and not is_short:
            value = figure["values"][-1]
            row(f"{what}, {record['sizes'][-1]:,} {record['size']}", f"{value:.3g} {figure['unit']}",
                f"<= {figure['target']} {figure['unit']}", value <= figure["target"])
    return is_flat


def run(apus, simulator, names, is_short, output, row):
    """Runs the parts with these names, or all. Writes `growth.json` and a picture of each part to the directory `output`.
    Returns whether every cost has the shape that it should have."""
    os.makedirs(output, exist_ok=True)
    records = []
    is_flat = True
    for kind in PARTS:
        if names and kind.name not in names:
            continue
        directory = tempfile.mkdtemp(prefix="apus-growth-")
        part = kind(Space(apus, simulator, directory))
        print(f"growth, {part.name}: {part.title}", flush=True)
        try:
            record = measured(part, part.short_sizes if is_short else part.sizes)
        finally:
            part.end()
            shutil.rmtree(directory, ignore_errors=True)
        records.append(record)
        is_flat = judge(record, is_short, row) and is_flat
        with open(os.path.join(output, f"{part.name}.svg"), "w") as file:
            file.write(picture.draw(record))
    with open(os.path.join(output, "growth.json"), "w") as file:
        json.dump({"machine": platform.platform(), "processors": os.cpu_count(), "short": is_short, "parts": records}, file,
                  indent=1)
    print(f"{output}: growth.json" + "".join(f", {record['part']}.svg" for record in records), flush=True)
    return is_flat
