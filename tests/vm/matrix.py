"""The fault matrix: every state of the machine x every fault, one case a cell; see matrix_cell.py.

    ./run vm matrix                       all of it
    ./run vm matrix/frozen/service-kill   a cell; "matrix/frozen" and "matrix/service-kill" work, too

A run begins build/matrix.json anew; at the end of a whole one matrix_table.py makes of it
build/fault-matrix.md. A cell that did all that it must, but too slowly, is tried again: the best of
TRIES counts, and the table says how many needed that.

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
import matrix_table
from matrix_cell import STATES, BoundMissed, Cell, Fault
from matrix_check import run_cell
from matrix_rig import Rig
from vmlab.image import build

GROUP = "matrix"
NAMED = True  # a word on the command line must begin with the group's name
LANES = 2  # machines at once: a cell waits more than it computes
TRIES = 3
RESULTS, PAGE = Path("build/matrix.json"), Path("build/fault-matrix.md")
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


def begin() -> None:
    """Before the first machine."""
    build()  # of the image, for all of them
    RESULTS.unlink(missing_ok=True)
    PAGE.unlink(missing_ok=True)


def finish() -> None:
    """After the last one: the table, if every cell was run."""
    print(f"# {matrix_table.write(FAULTS, RESULTS, PAGE)}")


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
        began = time.monotonic()
        try:
            entry["result"] = "failed"
            for number in range(1, TRIES + 1):
                entry["tries"] = number
                if self.once(rig, entry, number == TRIES):
                    break
            entry["result"] = "ok"
        finally:
            record({**entry, "seconds": round(time.monotonic() - began, 1)})

    def once(self, rig: MatrixRig, entry: dict, last: bool) -> bool:
        """False: too slow, and not the last try."""
        cell = Cell(rig, self.state, self.fault, self.fault.want[self.state])
        try:
            rig.enter_row(self.fault)
            run_cell(cell)
        except BoundMissed as error:
            if last:
                raise
            print(f"# {self.__name__} is tried again: {error}")
            return False
        finally:
            entry["ms"] = {name: round(value) for name, value in cell.measured.items()}
            if cell.measured:
                print(f"# {self.__name__}: " + ", ".join(
                    f"{name} after {value:.0f} ms" for name, value in cell.measured.items()))
        return True


CASES = [Case(state, fault) for fault in FAULTS for state in STATES]
