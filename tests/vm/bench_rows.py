"""The rows of the benchmark: what was measured, against what, and what is wanted.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import sys
from dataclasses import asdict, dataclass


@dataclass
class Row:
    """`stock` is what qemu-ga took in the same machine; where it cannot do it there is None."""

    what: str
    ours: float
    stock: float | None
    unit: str
    ratio_max: float | None = None
    ours_max: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.stock if self.stock else None

    def target(self) -> str:
        if self.ratio_max is not None:
            return f"ratio at most {self.ratio_max:.3g}"
        return f"at most {self.ours_max:.4g} {self.unit}" if self.ours_max is not None else ""

    def missed(self) -> str:
        """What to say when it is not as wanted, else empty."""
        if self.ours_max is not None and self.ours > self.ours_max:
            return f"{self.what}: {self.ours:.4g} {self.unit}, {self.target()} wanted"
        if self.ratio_max is not None and (self.ratio is None or self.ratio > self.ratio_max):
            return f"{self.what}: ratio {self.ratio or float('inf'):.3f}, {self.target()} wanted"
        return ""

    def line(self) -> str:
        stock = "" if self.stock is None else f"{self.stock:.4g} {self.unit}"
        ratio = "" if self.ratio is None else f"{self.ratio:.3g}"
        return f"| {self.what} | {self.ours:.4g} {self.unit} | {stock} | {ratio} | {self.target()} |"


class Rows(list[Row]):
    """Says each row as soon as it is known."""

    def add(self, what: str, ours: float, stock: float | None, unit: str,
            ratio_max: float | None = None, ours_max: float | None = None) -> None:
        self.append(Row(what, ours, stock, unit, ratio_max, ours_max))
        print("    " + self[-1].line(), file=sys.stderr, flush=True)

    def table(self) -> str:
        head = "| what | quiesced | qemu-ga | ratio | target |\n|---|---|---|---|---|\n"
        return head + "\n".join(row.line() for row in self)

    def missed(self) -> list[str]:
        return [text for row in self if (text := row.missed())]

    def data(self) -> list[dict]:
        return [asdict(row) for row in self]


def note(text: str) -> None:
    """What single measurements gave, for who reads along."""
    print(f"    {text}", file=sys.stderr, flush=True)
