"""Writes the table in metrics.md from a node's metrics on standard input.

    curl -s http://127.0.0.1:8485/metrics | python3 docs/operate/metrics.py

The end-to-end test `metrics_page_is_current` fails while the table differs from what a node serves.
"""

import os
import re
import sys

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "metrics.md")
BEGIN, END = "<!-- metrics.py writes this table. -->\n\n", "\n<!-- End of the table. -->"


def families(text):
    """The families of an answer in Prometheus's text format: name, type, labels and meaning."""
    found = []
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, meaning = line[7:].split(" ", 1)
            found.append({"name": name, "meaning": meaning.replace("\\\\", "\\"), "labels": []})
        elif line.startswith("# TYPE "):
            found[-1]["type"] = line.split(" ")[3]
        elif line:
            for label in re.findall(r'([a-z_]+)="', line.split(" ")[0] if "{" not in line else line[:line.rindex("}")]):
                if label != "le" and label not in found[-1]["labels"]:
                    found[-1]["labels"].append(label)
    return found


def table(text):
    rows = ["| metric | type | labels | meaning |", "| --- | --- | --- | --- |"]
    for family in families(text):
        labels = ", ".join(f"`{label}`" for label in family["labels"])
        rows.append(f"| `{family['name']}` | {family['type']} | {labels} | {family['meaning']} |")
    return "\n".join(rows) + "\n"


def parts():
    """The page before its table, the table, and the rest."""
    with open(PAGE) as page:
        text = page.read()
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return text[:start], text[start:end], text[end:]


if __name__ == "__main__":
    before, _, after = parts()
    with open(PAGE, "w") as page:
        page.write(before + table(sys.stdin.read()) + after)
