"""Benchmark: how long after a deadline or a death everything is writable again, on the guest's clock.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import time

from bench_lab import TRIES, Lab
from bench_rows import Rows, note

TOOL, CLOCK, RESULT = "/usr/lib/lab/labtool", "/usr/lib/lab/thawclock", "/run/thawclock"
LIMIT_MS = 4000
ROUNDED_US = 2000  # of two times in whole milliseconds
DEADLINE_MS, KILLED_MS, BOTH_KILLED_MS, MANY_MORE_MS = 50, 100, 2000, 300
PATIENCE_SECONDS = 60


def freeze(lab: Lab, limit_ms: int) -> None:
    """All is frozen, and a write waits in every filesystem."""
    lab.vm.run(f"rm -f {RESULT}")
    lab.vm.spawn(f"exec {CLOCK} {RESULT} {' '.join(lab.directories)}")
    lab.vm.wait_until(f"grep -qs ready {RESULT}", 30, "thawclock")
    lab.vm.run("sync", timeout=60)
    lab.host.call("guest-quiesce-freeze", {"frozen-limit-ms": limit_ms}, timeout=120)
    lab.vm.run("pkill -USR1 -x thawclock; sleep 0.5")


def thawed_ms(lab: Lab, since_us: int) -> float:
    lab.vm.wait_until(f"! grep -q ready {RESULT}", PATIENCE_SECONDS, "every write to end")
    first, last = (int(word) for word in lab.vm.run(f"cat {RESULT}").split())
    if first < since_us:
        raise AssertionError(f"a filesystem was not frozen: {first} is before {since_us}")
    return (last - since_us) / 1000


def due_us(lab: Lab) -> int:
    """When the limit passed, or a little before: it counts from the request to the keeper, which is
    before the first FIFREEZE, and the report has whole milliseconds."""
    report = lab.host.call("guest-quiesce-report")["operations"][0]
    first = min(item["start-ms"] for item in report["filesystems"] if item["result"] == "frozen")
    clock, wall = (int(word) for word in lab.vm.run(f"{TOOL} now").split())
    return (report["started-unix-ms"] + first + LIMIT_MS) * 1000 - ROUNDED_US - wall + clock


def deadline_ms(lab: Lab) -> float:
    freeze(lab, LIMIT_MS)
    lab.vm.wait_until(f"! grep -q ready {RESULT}", PATIENCE_SECONDS, "the deadline")
    late = thawed_ms(lab, due_us(lab))
    lab.after_loss()
    return late


def killed_ms(lab: Lab, names: str) -> float:
    freeze(lab, 120_000)
    late = thawed_ms(lab, int(lab.vm.run(f"exec {TOOL} strike KILL {names}")))
    lab.after_loss()
    return late


def best(lab: Lab, what: str, measure) -> float:
    values = []
    for _ in range(TRIES):
        values.append(measure(lab))
        time.sleep(0.5)
    note(f"{what}: " + ", ".join(f"{value:.0f}" for value in values) + " ms")
    return min(values)


def measure_faults(lab: Lab, rows: Rows) -> None:
    count = len(lab.directories)
    more = MANY_MORE_MS if count >= 100 else 0
    cases = (
        ("deadline", DEADLINE_MS, deadline_ms),
        ("service killed", KILLED_MS, lambda lab: killed_ms(lab, "quiesced")),
        ("keeper killed", KILLED_MS, lambda lab: killed_ms(lab, "quiesced-keeper")),
        ("both killed", BOTH_KILLED_MS, lambda lab: killed_ms(lab, "quiesced quiesced-keeper")),
    )
    for name, most, measure in cases:
        what = f"{name} to all {count} filesystems thawed"
        rows.add(what, best(lab, what, measure), None, "ms", ours_max=most + more)
