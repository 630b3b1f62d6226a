"""Makes build/fault-matrix.md of the results of a whole run of the matrix.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import json
from pathlib import Path

from matrix_cell import SLACK_MS, STATES, Fault

HEAD = """# The fault matrix

What happens when something fails at any moment of a quiesce. Every cell is a case of
`./run vm matrix`: a real machine (QEMU, software emulation) with ext4, xfs, btrfs and its root under
writers, held in the state of the column, then struck by the fault of the row. A cell passes when

1. every filesystem can be written to again within its bound,
2. every participant was released: exactly once where the service survived, else at least once,
3. the host's next thaw was told once that the freeze was lost, if it was, and never otherwise,
4. the next freeze works,
5. the report tells what happened,
6. the kernel's settings are what they were.

This page was written by a run; do not edit it. Times are of that run, which shared two processors
with other virtual machines, in milliseconds, measured inside the machine: from the fault to the first
write that went through on the last of the frozen filesystems. Where a `FIFREEZE` was held in the kernel by somebody else's
write the second number, after +, is the time from that write's end to the thaw of its filesystem.
`ok` means that nothing was frozen, or that it stayed frozen until the host's thaw, as it should.

"""
BOUNDS = """
Bounds, and what a test allows on top of them because emulation on a busy machine is slow (twice the
bound, at most a second, and {slack} ms; a cell that was too slow is tried again, at most twice): deadline
to all thawed 50 ms; service or keeper killed 100 ms; either stopped with SIGSTOP 6 s; both killed 2 s where PID 1 is free; a stuck `FIFREEZE`
holds up the others 5 s; a `FIFREEZE` that completes late is thawed after 100 ms.
"""
ORDER = ("thawed", "past the limit", "longest stall", "suspended", "shut down")


def read_results(path: Path) -> dict[tuple[str, str], dict]:
    """The last result of every cell."""
    results = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        results[(entry["fault"], entry["state"])] = entry
    return results


def cell_text(entry: dict, notes: list[str]) -> str:
    if entry["result"] == "n/a":
        if entry["reason"] not in notes:
            notes.append(entry["reason"])
        return f"n/a [{notes.index(entry['reason']) + 1}]"
    if entry["result"] != "ok":
        return "**failed**"
    times = entry["ms"]
    shown = next((f"{times[name]}" for name in ORDER if name in times), "")
    late = f"+{times['in flight']}" if "in flight" in times else ""
    return " ".join(word for word in (shown or "ok", late) if word)


def table(faults: list[Fault], results: dict[tuple[str, str], dict]) -> str:
    notes: list[str] = []
    lines = ["| | " + " | ".join(STATES) + " |", "|---" * (len(STATES) + 1) + "|"]
    for fault in faults:
        cells = [cell_text(results[(fault.name, state)], notes) for state in STATES]
        lines.append(f"| {fault.title} | " + " | ".join(cells) + " |")
    lines += ["", "Not applicable, by definition of the state:", ""]
    lines += [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    return "\n".join(lines) + "\n"


def write(faults: list[Fault], source: Path, page: Path) -> str:
    """The page, unless a cell has no result; a line about it."""
    results = read_results(source) if source.exists() else {}
    counts = {kind: sum(entry["result"] == kind for entry in results.values())
              for kind in ("ok", "n/a", "failed")}
    again = sum(entry.get("tries", 1) > 1 for entry in results.values())
    summary = f"{len(results)} cells: {counts['ok']} pass, {counts['failed']} fail, " \
              f"{counts['n/a']} are not applicable; {again} needed another try to be in time."
    if any((fault.name, state) not in results for fault in faults for state in STATES):
        return f"{summary} No table is written: not every cell was run."
    page.write_text(HEAD + table(faults, results) + f"\n{summary}\n" +
                    BOUNDS.format(slack=SLACK_MS), encoding="utf-8")
    return f"{summary} The table is in {page}."
