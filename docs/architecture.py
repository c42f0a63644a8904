"""Draws docs/architecture.svg: the package's targets, their dependencies and their main types. `--check` fails if the picture
on disk is outdated.

Targets and dependencies come from the package's manifest. A target's main types are those with a file of the same name, in
the order of the number of files in other targets that use them. Arrows that a longer path implies are left out.
"""

import collections
import html
import json
import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
PICTURE = os.path.join(ROOT, "docs/architecture.svg")
# The maximum number of types in a box.
TYPES = 5
WIDTH, GAP, LINE, PADDING, ROW_GAP = 156, 18, 15, 8, 46
DECLARATION = r"^(?:open |public |package )?(?:@\w+ )*(?:final )?(?:indirect )?(?:struct|class|enum|actor|protocol) %s\b"


def targets():
    """The targets under Sources, in the manifest's order, with the names of their dependencies."""
    manifest = json.loads(
        subprocess.run(["swift", "package", "dump-package"], cwd=ROOT, check=True, capture_output=True).stdout)
    found = {}
    for target in manifest["targets"]:
        if target["type"] == "test" or not os.path.isdir(os.path.join(ROOT, "Sources", target["name"])):
            continue
        found[target["name"]] = [d["byName"][0] for d in target["dependencies"] if "byName" in d]
    return found


def sources(target):
    """The texts of a target's Swift files, by path."""
    texts = {}
    for path, _, names in os.walk(os.path.join(ROOT, "Sources", target)):
        for name in names:
            if name.endswith(".swift"):
                with open(os.path.join(path, name)) as file:
                    texts[os.path.join(path, name)] = file.read()
    return texts


def main_types(texts):
    """The main types of each target, the most used first."""
    declared = {}
    for target, files in texts.items():
        declared[target] = [
            name for path, text in files.items()
            for name in [os.path.basename(path)[: -len(".swift")]]
            if re.search(DECLARATION % re.escape(name), text, re.M)]
    uses = collections.Counter()
    for target, files in texts.items():
        for text in files.values():
            words = set(re.findall(r"\b[A-Z]\w+", text))
            for other, names in declared.items():
                if other != target:
                    uses.update((other, name) for name in names if name in words)
    return {t: sorted(names, key=lambda n: (-uses[(t, n)], n))[:TYPES] for t, names in declared.items()}


def headers(target):
    """The headers of a C target, which it has instead of types."""
    names = sorted(os.listdir(os.path.join(ROOT, "Sources", target, "include")))
    return [name for name in names if name.endswith(".h")][:TYPES]


def reach(graph):
    """The direct and indirect dependencies of each target."""
    below = {}

    def visit(name):
        if name not in below:
            below[name] = set()
            for other in graph[name]:
                below[name] |= {other} | visit(other)
        return below[name]

    for name in graph:
        visit(name)
    return below


def layout(graph, below):
    """Rows of targets, the foundations last: each target is above its dependencies."""
    depth = {}
    for name in sorted(graph, key=lambda n: len(below[n])):
        depth[name] = 1 + max((depth[other] for other in graph[name]), default=-1)
    rows = collections.defaultdict(list)
    for name in graph:
        rows[depth[name]].append(name)
    return [rows[d] for d in sorted(rows, reverse=True)]


def draw(graph, types):
    below = reach(graph)
    direct = {n: [o for o in graph[n] if not any(o in below[p] for p in graph[n] if p != o)] for n in graph}
    rows = layout(graph, below)
    total = max(len(row) for row in rows) * (WIDTH + GAP) + GAP
    boxes, y = {}, GAP
    for row in rows:
        height = max(PADDING * 2 + LINE * (1 + len(types[name])) for name in row)
        x = (total - len(row) * (WIDTH + GAP) + GAP) / 2
        for name in row:
            boxes[name] = (x, y, height)
            x += WIDTH + GAP
        y += height + ROW_GAP
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total:.0f} {y - ROW_GAP + GAP:.0f}" '
        'font-family="sans-serif" font-size="11">',
        "<title>The targets of Apus, what each imports, and its main types</title>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#667"/></marker></defs>',
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for name in graph:
        for other in direct[name]:
            (x1, y1, h1), (x2, y2, _) = boxes[name], boxes[other]
            a, b, c, d = x1 + WIDTH / 2, y1 + h1, x2 + WIDTH / 2, y2
            middle = (b + d) / 2
            out.append(
                f'<path d="M{a:.0f} {b:.0f}C{a:.0f} {middle:.0f} {c:.0f} {middle:.0f} {c:.0f} {d:.0f}" '
                'fill="none" stroke="#99a" marker-end="url(#arrow)"/>')
    for name, (x, y, height) in boxes.items():
        out.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{height}" rx="5" fill="#eef2fb" stroke="#446"/>')
        for number, text in enumerate([name] + types[name]):
            style = ' font-weight="bold" font-size="13"' if number == 0 else ""
            out.append(
                f'<text x="{x + PADDING:.0f}" y="{y + PADDING + LINE * (number + 0.8):.0f}"{style}>'
                f"{html.escape(text)}</text>")
    return "\n".join(out + ["</svg>", ""])


def main():
    graph = targets()
    graph = {name: [other for other in others if other in graph] for name, others in graph.items()}
    texts = {name: sources(name) for name in graph}
    types = main_types(texts)
    for name in graph:
        if not texts[name]:
            types[name] = headers(name)
    picture = draw(graph, types)
    if "--check" not in sys.argv:
        with open(PICTURE, "w") as file:
            file.write(picture)
        return 0
    if os.path.exists(PICTURE) and open(PICTURE).read() == picture:
        return 0
    print("docs/architecture.svg is outdated: run `make architecture`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
