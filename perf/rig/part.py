"""What a part of a benchmark declares."""

import dataclasses


@dataclasses.dataclass
class Figure:
    """What a part measures at each size: a cost, unless more is better."""
    name: str
    unit: str
    # The maximum ratio of the cost at the largest size to that at the smallest; None if it may grow.
    ratio: float | None = None
    # The maximum at the largest size on a machine with two cores, or the minimum if more is better; None for none.
    target: float | None = None
    is_more_better: bool = False
    # Whether the picture shows it.
    is_drawn: bool = True


@dataclasses.dataclass
class Space:
    """The programs that a part runs, and a directory for its files, which is removed afterwards."""
    apus: str
    simulator: str
    directory: str


class Part:
    """Figures at several sizes. A subclass declares what is below and defines `measure`."""

    name = ""
    title = ""
    # What the sizes count, in the plural.
    unit = ""
    # In ascending order. The short form needs seconds.
    sizes = []
    short_sizes = []
    # The figures, by the keys that `measure` returns.
    figures = {}

    def __init__(self, space):
        self.space = space

    def measure(self, size):
        """Returns each figure's value at a size. The sizes come in ascending order."""
        raise NotImplementedError

    def show(self, size, found):
        """Prints what has been measured at a size."""
        print(f"  {size:>12,} {self.unit}: "
              + ", ".join(f"{figure.name} {found[key]:.4g} {figure.unit}".rstrip() for key, figure in self.figures.items()),
              flush=True)

    def end(self):
        """Called after the last size, also if a measurement failed."""
