"""The fault matrix: every state of the machine x every fault, one case a cell; see matrix_cell.py.

    ./run vm matrix                       all of it
    ./run vm matrix/frozen/service-kill   a cell; "matrix/frozen" and "service-kill" work, too

Writes build/matrix.json, of which matrix_table.py makes docs/fault-matrix.md.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import json
import threading
import time
from pathlib import Path

import matrix_filesystem
import matrix_hook
import matrix_host
import matrix_process
import matrix_unit
from matrix_cell import STATES, Cell, Fault
from matrix_check import run_cell
from matrix_rig import Rig

GROUP = "matrix"
LANES = 2  # machines at once: a cell waits more than it computes
RESULTS = Path("build/matrix.json")
LOCK = threading.Lock()
FAULTS: list[Fault] = [*matrix_process.FAULTS, *matrix_unit.FAULTS, *matrix_host.FAULTS,
                       *matrix_hook.FAULTS, *matrix_filesystem.FAULTS]


def machine(tree, lane: int = 0) -> "MatrixRig":
    return MatrixRig(tree, f"{GROUP}{lane}")


class MatrixRig(Rig):
    """A Rig that knows which row it is in, and what to do after a failure."""

    row: Fault | None = None

    def enter_row(self, fault: Fault) -> None:
        if self.row is fault:
            return
        self.leave_row()
        if fault.begin:
            fault.begin(self)
        self.row = fault

    def leave_row(self) -> None:
        before, self.row = self.row, None
        if before and before.end:
            before.end(self)

    def after_failure(self) -> None:
        for line in self.explain():
            print(f"# {line}")
        self.row = None
        self.restore()


def record(entry: dict) -> None:
    """A line of a file that only grows while the lanes run."""
    with LOCK, open(RESULTS, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


class Case:
    """A cell as run.py runs it."""

    def __init__(self, state: str, fault: Fault) -> None:
        self.state, self.fault = state, fault
        self.__name__ = f"{state}/{fault.name}"
        self.row = fault.name  # cases of a row run on one machine
        self.reason = fault.not_applicable.get(state)

    def __call__(self, rig: MatrixRig) -> None:
        entry = {"state": self.state, "fault": self.fault.name, "result": "n/a"}
        if self.reason:
            record({**entry, "reason": self.reason})
            print(f"# {self.__name__} n/a: {self.reason}")
            return
        cell = Cell(rig, self.state, self.fault, self.fault.want[self.state])
        began = time.monotonic()
        entry["result"] = "failed"
        try:
            rig.enter_row(self.fault)
            run_cell(cell)
            entry["result"] = "ok"
        finally:
            record({**entry, "seconds": round(time.monotonic() - began, 1),
                    "ms": {name: round(value) for name, value in cell.measured.items()}})
            if cell.measured:
                print(f"# {self.__name__}: " + ", ".join(
                    f"{name} after {value:.0f} ms" for name, value in cell.measured.items()))


CASES = [Case(state, fault) for fault in FAULTS for state in STATES]
