"""Benchmark: many filesystems, and many mounts in many namespaces.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import time

from bench_lab import MANY, TRIES, Lab
from bench_rows import Rows, note

NAMESPACES, MOUNTS_EACH = 500, 20
PLAN_SECONDS = 1.0
FREEZE_MORE_MS = 50


def measure_many(lab: Lab, rows: Rows) -> None:
    """Needs lab.add_many() before."""
    assert lab.stock
    ours = lab.best_freeze(lab.host)
    frozen = min(r["freeze-ms"] for r in lab.host.call(
        "guest-quiesce-report", {"limit": TRIES})["operations"]) / 1000
    report = lab.host.call("guest-quiesce-report")["operations"][0]
    note(f"the last of ours: prepare {report['prepare-ms']} ms, freeze {report['freeze-ms']} ms, "
         f"thaw {report['thaw-ms']} ms, {len(report['filesystems'])} filesystems")
    theirs = lab.best_freeze(lab.stock)  # of which nearly all is FIFREEZE
    what = f"{MANY} filesystems and {len(lab.directories) - MANY} more"
    rows.add(f"{what}: writers stopped until all are frozen", frozen, theirs, "s", 1 / 10)
    rows.add(f"{what}: the whole freeze call", ours, theirs, "s")


def figures(lab: Lab) -> tuple[float, float, int]:
    """Plan and freeze call in seconds, and of the freeze what applications are stopped for, ms."""
    plans, calls, stages = [], [], []
    for _ in range(TRIES):
        began = time.monotonic()
        lab.host.call("guest-quiesce-plan")
        plans.append(time.monotonic() - began)
        calls.append(lab.freeze_seconds(lab.host))
        stages.append(lab.host.call("guest-quiesce-report")["operations"][0]["freeze-ms"])
    return min(plans), min(calls), min(stages)


def measure_namespaces(lab: Lab, rows: Rows) -> None:
    _, call_before, stage_before = figures(lab)
    lab.vm.spawn(f"exec /usr/lib/lab/nsfarm {NAMESPACES} {MOUNTS_EACH} >/run/farm.log 2>&1")
    lab.vm.wait_until("grep -q ready /run/farm.log", 180, "the namespaces")
    plan, call, stage = figures(lab)
    mounts = f"{NAMESPACES * MOUNTS_EACH} mounts in {NAMESPACES} namespaces"
    lab.vm.run("pkill -KILL nsfarm; sleep 2", timeout=60)
    rows.add(f"plan for {mounts}", plan, None, "s", ours_max=PLAN_SECONDS)
    rows.add(f"applications stopped at a freeze beside {mounts}", stage, None, "ms",
             ours_max=stage_before + FREEZE_MORE_MS)
    rows.add("the same without them", stage_before, None, "ms")
    rows.add(f"freeze call beside {mounts}", call, None, "s", ours_max=call_before + PLAN_SECONDS)
    rows.add("the same without them", call_before, None, "s")
