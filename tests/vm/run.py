"""The virtual machine rung: real ports, systemd, FIFREEZE, PostgreSQL, libvirt. Prints TAP.

    run.py [NAME...]    only the cases whose name contains one of the words; those of the soak and
                        of the fault matrix are named "soak" and "matrix[/STATE][/FAULT]"

Ends with "N passed, N failed". A case that cannot run here fails: nothing is skipped silently. The
cases of a group run one after another on one machine, or on as many as its LANES says; SLOTS
machines run at once, so the output of groups is mixed, and each line names its own.
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
import test_apparmor
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
from vmlab.image import build

# The longest first.
GROUPS = (matrix, test_compare, test_libvirt, test_package, test_reach, test_freeze, test_faults,
          test_confined, test_apparmor, test_bus, test_session, test_warnings, test_channels,
          test_commands, soak, test_readme)
# One for each of two processors: with a third they are busy all the time, and times mean less.
SLOTS = int(os.environ.get("QUIESCED_VM_SLOTS", "2"))


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
    if rows.empty():
        return  # the other lanes have done it all
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


class GroupRun:
    """A group on its lanes: begin() before the first, finish() after the last."""

    def __init__(self, tally: Tally, group, cases: list, tree: Path) -> None:
        self.tally, self.group, self.tree = tally, group, tree
        self.lock, self.begun = threading.Lock(), False
        self.rows: queue.SimpleQueue = queue.SimpleQueue()
        for _, row in itertools.groupby(cases, lambda case: getattr(case, "row", None)):
            self.rows.put(list(row))
        self.lanes = self.left = min(getattr(group, "LANES", 1), self.rows.qsize())

    def run(self, lane: int) -> None:
        with self.lock:
            if not self.begun:
                getattr(self.group, "begin", lambda: None)()
            self.begun = True
        enter = (lambda: self.group.machine(self.tree)) if self.lanes == 1 else \
            (lambda: self.group.machine(self.tree, lane))
        run_lane(self.tally, self.group.GROUP, self.rows, enter)
        with self.lock:
            self.left -= 1
            if self.left == 0:
                getattr(self.group, "finish", lambda: None)()


def run_jobs(jobs: queue.SimpleQueue, tally: Tally) -> None:
    """What one of the slots does: lanes of groups, in their order."""
    while True:
        try:
            group, lane = jobs.get_nowait()
        except queue.Empty:
            return
        try:
            group.run(lane)
        except Exception:
            tally.machine_failed(group.group.GROUP)


def main() -> int:
    tree = Path(os.environ["QUIESCED_TREE"])
    wanted = sys.argv[1:]
    tally = Tally()
    jobs: queue.SimpleQueue = queue.SimpleQueue()
    total = 0
    for group in GROUPS:
        cases = [case for case in group.CASES if is_wanted(group, case, wanted)]
        total += len(cases)
        run = GroupRun(tally, group, cases, tree)
        for lane in range(run.lanes):
            jobs.put((run, lane))
    print(f"1..{total}", flush=True)
    build()  # of the image, before the first two need it at once
    slots = [threading.Thread(target=run_jobs, args=(jobs, tally)) for _ in range(SLOTS)]
    for slot in slots:
        slot.start()
    for slot in slots:
        slot.join()
    failed = tally.failed + tally.broken
    print(f"{tally.number - tally.failed} passed, {failed} failed", flush=True)
    return 1 if failed or tally.number < total or total == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
