"""Runs the parts of a benchmark: prints their figures, checks their limits, and writes JSON and pictures."""

import json
import os
import platform
import shutil
import tempfile

from . import picture
from .part import Space


def row(what, figure, target="", verdict=None):
    """Prints a figure, and its target and whether it is reached."""
    note = "" if verdict is None else "reached" if verdict else "MISSED"
    print(f"{what:<58} {figure:>16}  {target:<10} {note}", flush=True)


def measured(part, sizes):
    """Measures a part at each size. Returns its record for the JSON file."""
    values = {key: [] for key in part.figures}
    for size in sizes:
        found = part.measure(size)
        for key in part.figures:
            values[key].append(found[key])
        part.show(size, found)
    return {
        "part": part.name, "title": part.title, "size": part.unit, "sizes": sizes,
        "figures": [{"name": figure.name, "unit": figure.unit, "values": values[key],
                     "ratio": values[key][-1] / values[key][0] if values[key][0] else None,
                     "largest_ratio": figure.ratio, "target": figure.target, "more_is_better": figure.is_more_better,
                     "drawn": figure.is_drawn}
                    for key, figure in part.figures.items()],
    }


def is_in_shape(figure):
    """Returns whether a figure's ratio is within its limit, if it has one."""
    return not figure["largest_ratio"] or figure["ratio"] is not None and figure["ratio"] <= figure["largest_ratio"]


def judge(record, is_short):
    """Prints a line for each limit. Returns whether all shapes are as they should be; a missed target is only printed, because
    it depends on the machine."""
    for figure in record["figures"]:
        what = f"{record['part']}: {figure['name']}"
        if figure["largest_ratio"]:
            ends = f"{record['sizes'][-1]:,} / {record['sizes'][0]:,} {record['size']}"
            row(f"{what}, {ends}", "-" if figure["ratio"] is None else f"{figure['ratio']:.2f}",
                f"<= {figure['largest_ratio']}", is_in_shape(figure))
        if figure["target"] and not is_short:
            value, target = figure["values"][-1], figure["target"]
            sign, reached = (">=", value >= target) if figure["more_is_better"] else ("<=", value <= target)
            row(f"{what}, {record['sizes'][-1]:,} {record['size']}", f"{value:.3g} {figure['unit']}".rstrip(),
                f"{sign} {target} {figure['unit']}".rstrip(), reached)
    return all(map(is_in_shape, record["figures"]))


def run(benchmark, kinds, apus, simulator, is_short, output):
    """Runs parts, each made by a function of its `Space`. Writes a JSON file with the benchmark's name and a picture of each part
    to the directory `output`. Returns whether every cost has the shape that it should have. The short form takes a part whose shape
    is wrong once more, because other work on the machine may have disturbed it."""
    os.makedirs(output, exist_ok=True)

    def once(kind):
        """Measures and judges a part, in a directory of its own. Returns its record and whether its shape is right."""
        directory = tempfile.mkdtemp(prefix=f"apus-{benchmark}-")
        part = kind(Space(apus, simulator, directory))
        print(f"{benchmark}, {part.name}: {part.title}", flush=True)
        try:
            record = measured(part, part.short_sizes if is_short else part.sizes)
        finally:
            part.end()
            shutil.rmtree(directory, ignore_errors=True)
        return record, judge(record, is_short)

    records = []
    are_flat = True
    for kind in kinds:
        record, is_flat = once(kind)
        if is_short and not is_flat:
            print("once more:", flush=True)
            record, is_flat = once(kind)
        records.append(record)
        are_flat = are_flat and is_flat
        with open(os.path.join(output, f"{record['part']}.svg"), "w") as file:
            file.write(picture.draw(record))
        # After each part, so that a later failure loses nothing.
        with open(os.path.join(output, f"{benchmark}.json"), "w") as file:
            json.dump({"machine": platform.platform(), "processors": os.cpu_count(), "short": is_short, "parts": records},
                      file, indent=1)
    print(f"{output}: {benchmark}.json" + "".join(f", {record['part']}.svg" for record in records), flush=True)
    return are_flat
