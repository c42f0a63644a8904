"""Draws the figures of a part as an SVG picture: cost against size, both on logarithmic axes."""

import html
import math

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 80
COLOURS = ["#1b6ca8", "#c0392b", "#2e7d32", "#8e44ad", "#b9770e", "#424949"]


def ticks(least, most):
    """The powers of ten that enclose two positive numbers."""
    first = math.floor(math.log10(least))
    last = max(first + 1, math.ceil(math.log10(most)))
    return [10.0 ** power for power in range(first, last + 1)]


def label(value):
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def draw(record):
    """Returns the picture of a part's record."""
    sizes = record["sizes"]
    values = [max(value, 1e-9) for figure in record["figures"] for value in figure["values"]]
    x_ticks, y_ticks = ticks(sizes[0], sizes[-1]), ticks(min(values), max(values))

    def place(value, marks, begin, end):
        share = math.log10(max(value, marks[0]) / marks[0]) / math.log10(marks[-1] / marks[0])
        return begin + share * (end - begin)

    def x(size):
        return place(size, x_ticks, LEFT, WIDTH - RIGHT)

    def y(value):
        return place(value, y_ticks, HEIGHT - BOTTOM, TOP)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="13">{html.escape(record["title"])}</text>',
    ]
    for tick in x_ticks:
        lines.append(f'<path d="M{x(tick):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>'
                     f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{label(tick)}</text>')
    for tick in y_ticks:
        lines.append(f'<path d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{label(tick)}</text>')
    lines.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - BOTTOM + 34}" text-anchor="middle">'
                 f'{html.escape(record["size"])}</text>')
    for index, figure in enumerate(record["figures"]):
        colour = COLOURS[index % len(COLOURS)]
        points = " ".join(f"{x(size):.1f},{y(value):.1f}" for size, value in zip(sizes, figure["values"]))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines += [f'<circle cx="{x(size):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>'
                  for size, value in zip(sizes, figure["values"])]
        row, column = divmod(index, 2)
        left, base = LEFT + column * 240, HEIGHT - BOTTOM + 52 + row * 16
        lines.append(f'<rect x="{left}" y="{base - 9}" width="10" height="10" fill="{colour}"/>'
                     f'<text x="{left + 16}" y="{base}">{html.escape(figure["name"])} ({html.escape(figure["unit"])})</text>')
    return "\n".join(lines) + "\n</svg>\n"
