"""Benchmark: many hooks at one order, against the stock dispatcher and against bare spawning.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

from bench_lab import TRIES, Lab
from bench_rows import Rows

HOOKS = 32
DIRECTORY = "/etc/qemu/fsfreeze-hook.d"
BARE = "/usr/lib/lab/barespawn"
MASKED = "/etc/quiesced/hooks.d/50-postgresql"  # a ready-made one that the other agent has not


def measure_hooks(lab: Lab, rows: Rows) -> None:
    """The same scripts for both: quiesced runs the stock directory as it is."""
    lab.vm.run(f"mkdir -p {MASKED.rsplit('/', 1)[0]} && ln -s /dev/null {MASKED}")
    empty = lab.best_freeze(lab.host)
    for number in range(HOOKS):
        lab.vm.put(f"{DIRECTORY}/hook{number:02d}.sh", "#!/bin/sh\nexec sleep 0.1\n", 0o755)
    bare = min(float(lab.vm.run(f"exec {BARE} {DIRECTORY}/hook*.sh")) for _ in range(TRIES))
    ours = lab.best_freeze(lab.host)
    stock = lab.freeze_seconds(lab.start_stock("-F"))
    ours = (ours + lab.best_freeze(lab.host)) / 2  # before and after: the host's pace changes
    lab.vm.run(f"rm {DIRECTORY}/hook*.sh {MASKED}")
    lab.start_stock()
    rows.add(f"{HOOKS} hooks of 100 ms at freeze", ours, stock, "s", 1 / 6)
    rows.add("bare spawning of the same scripts, no agent", bare, stock, "s")
    rows.add("the same freeze without hooks", empty, None, "s")
