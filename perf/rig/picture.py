"""Draws the figures of a part as an SVG picture: a panel for each unit, figures against sizes, both on logarithmic axes."""

import html
import math

WIDTH, PANEL = 560, 220
LEFT, RIGHT, TOP, BOTTOM, LINE = 70, 20, 34, 44, 16
COLOURS = ["#1b6ca8", "#c0392b", "#2e7d32", "#8e44ad", "#b9770e", "#424949", "#17a2a2", "#e377c2", "#7f7f1f", "#000000"]


def ticks(least, most):
    """The powers of ten that enclose two positive numbers."""
    first = math.floor(math.log10(least))
    last = max(first + 1, math.ceil(math.log10(most)))
    return [10.0 ** power for power in range(first, last + 1)]


def label(value):
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def place(value, marks, begin, end):
    """Where a value is on an axis with these ticks."""
    share = math.log10(max(value, marks[0]) / marks[0]) / math.log10(marks[-1] / marks[0])
    return begin + share * (end - begin)


def points(sizes, figure):
    """A figure's positive values: a logarithmic axis has no others."""
    return [(size, value) for size, value in zip(sizes, figure["values"]) if value > 0]


def panel(record, figures, top, has_legend):
    """The lines of a panel that begins at a height, and its own height."""
    sizes = record["sizes"]
    values = [value for figure in figures for _, value in points(sizes, figure)]
    x_ticks, y_ticks = ticks(sizes[0], sizes[-1]), ticks(min(values), max(values))
    base = top + PANEL
    lines = [f'<text x="{LEFT}" y="{top - 8}">{html.escape(figures[0]["unit"])}</text>']
    for tick in x_ticks:
        x = place(tick, x_ticks, LEFT, WIDTH - RIGHT)
        lines.append(f'<path d="M{x:.1f} {top}V{base}" stroke="#ddd"/>'
                     f'<text x="{x:.1f}" y="{base + 16}" text-anchor="middle">{label(tick)}</text>')
    for tick in y_ticks:
        y = place(tick, y_ticks, base, top)
        lines.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label(tick)}</text>')
    lines.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{base + 32}" text-anchor="middle">'
                 f'{html.escape(record["size"])}</text>')
    for index, figure in enumerate(figures):
        colour = COLOURS[index % len(COLOURS)]
        spots = [(place(size, x_ticks, LEFT, WIDTH - RIGHT), place(value, y_ticks, base, top))
                 for size, value in points(sizes, figure)]
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        lines.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in spots]
        if has_legend:
            foot = base + BOTTOM + LINE * index
            lines.append(f'<rect x="{LEFT}" y="{foot}" width="10" height="10" fill="{colour}"/>'
                         f'<text x="{LEFT + 16}" y="{foot + 9}">{html.escape(figure["name"])}</text>')
    return lines, PANEL + BOTTOM + LINE * (len(figures) if has_legend else 0)


def draw(record):
    """Returns the picture of a part's record. Neighbouring panels with figures of the same names share a legend."""
    groups = {}
    for figure in record["figures"]:
        if figure.get("drawn", True) and points(record["sizes"], figure):
            groups.setdefault(figure["unit"], []).append(figure)
    lines, height = [], 20
    panels = list(groups.values())
    for figures, after in zip(panels, [*panels[1:], []]):
        has_legend = [figure["name"] for figure in figures] != [figure["name"] for figure in after]
        drawn, more = panel(record, figures, height + TOP, has_legend)
        lines += drawn
        height += TOP + more
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height + 10}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height + 10}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="13">{html.escape(record["title"])}</text>',
        *lines, "</svg>", ""])
