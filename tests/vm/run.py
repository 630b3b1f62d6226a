"""The virtual machine rung: real ports, systemd, FIFREEZE, PostgreSQL, libvirt. Prints TAP.

    run.py [NAME...]    only the cases whose name contains one of the words; those of the soak and
                        of the fault matrix are named "soak" and "matrix[/STATE][/FAULT]"

Ends with "N passed, N failed". A case that cannot run here fails: nothing is skipped silently. The
cases of a group run one after another on one machine, or on as many as its LANES says.
"""

import itertools
import os
import queue
import sys
import threading
import time
import traceback
from pathlib import Path

import matrix
import soak
import test_bus
import test_channels
import test_commands
import test_compare
import test_confined
import test_faults
import test_freeze
import test_libvirt
import test_package
import test_reach
import test_readme
import test_session
import test_warnings

GROUPS = (test_freeze, test_faults, test_bus, test_session, test_warnings, test_channels,
          test_commands, test_compare, test_reach, test_readme, test_libvirt, test_package)
# Named on the command line only: they take long.
ON_REQUEST = (soak, matrix, test_confined)


class Tally:
    """Counts and prints; the lanes of a group share it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.number, self.failed, self.broken = 0, 0, 0

    def passed(self, name: str, seconds: float, trouble: str = "") -> None:
        with self.lock:
            self.number += 1
            self.failed += bool(trouble)
            for line in trouble.splitlines():
                print(f"# {line}")
            print(f"{'not ok' if trouble else 'ok'} {self.number} - {name} ({seconds:.1f} s)",
                  flush=True)

    def machine_failed(self, name: str) -> None:
        """Every case of it that did not run has failed."""
        with self.lock:
            self.broken += 1
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            print(f"not ok - the machine of {name} failed", flush=True)


def run_case(tally: Tally, name: str, case, context) -> None:
    began = time.monotonic()
    try:
        case(context)
    except Exception:
        tally.passed(name, time.monotonic() - began, traceback.format_exc())
        context.after_failure()
    else:
        tally.passed(name, time.monotonic() - began)


def run_lane(tally: Tally, name: str, rows: queue.SimpleQueue, enter) -> None:
    """One machine takes rows of cases until none is left."""
    try:
        with enter() as context:
            while not rows.empty():
                try:
                    row = rows.get_nowait()
                except queue.Empty:
                    break
                for case in row:
                    run_case(tally, f"{name}/{case.__name__}", case, context)
    except Exception:
        tally.machine_failed(name)


def is_wanted(group, case, words: list[str]) -> bool:
    """`freeze` is no wish for every cell of the matrix with it in its name."""
    name = f"{group.GROUP}/{case.__name__}"
    if not getattr(group, "NAMED", False):
        return not words or any(word in name for word in words)
    return not words or any(word.split("/")[0] == group.GROUP and
                            all(part in name for part in word.split("/")) for word in words)


def run_group(tally: Tally, group, cases: list, tree: Path) -> None:
    getattr(group, "begin", lambda: None)()
    try:
        run_lanes(tally, group, cases, tree)
    finally:
        getattr(group, "finish", lambda: None)()


def run_lanes(tally: Tally, group, cases: list, tree: Path) -> None:
    rows: queue.SimpleQueue = queue.SimpleQueue()
    for _, row in itertools.groupby(cases, lambda case: getattr(case, "row", None)):
        rows.put(list(row))
    lanes = [threading.Thread(target=run_lane, args=(
        tally, group.GROUP, rows, lambda number=number: group.machine(tree, number)))
        for number in range(min(getattr(group, "LANES", 1), rows.qsize()))]
    if len(lanes) == 1:
        run_lane(tally, group.GROUP, rows, lambda: group.machine(tree))
        return
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()


def main() -> int:
    tree = Path(os.environ["QUIESCED_TREE"])
    wanted = sys.argv[1:]
    tally = Tally()
    plan = [(group, [case for case in group.CASES if is_wanted(group, case, wanted)])
            for group in GROUPS + (ON_REQUEST if wanted else ())]
    total = sum(len(cases) for _, cases in plan)
    print(f"1..{total}", flush=True)
    for group, cases in plan:
        if cases:
            run_group(tally, group, cases, tree)
    failed = tally.failed + tally.broken
    print(f"{tally.number - tally.failed} passed, {failed} failed", flush=True)
    return 1 if failed or tally.number < total or total == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
