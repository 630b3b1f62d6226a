"""./run bench: quiesced and the distribution's qemu-ga, side by side in one machine in one run.

    bench.py [NAME...]    only the parts whose name contains one of the words

Prints a table in Markdown, and fails when a target is missed. Single times depend on this machine;
the ratios are what counts. Where a row is one call or one fault it is the best of three: noise of
the emulation only ever adds.
"""

import json
import os
import sys
import traceback
from pathlib import Path

from bench_commands import measure_commands
from bench_fault import measure_faults
from bench_hooks import measure_hooks
from bench_lab import Lab
from bench_many import measure_many, measure_namespaces
from bench_rows import Rows, note
from bench_stall import measure_idle, measure_stalls


def measure_many_filesystems(lab: Lab, rows: Rows) -> None:
    """Last: the filesystems stay."""
    lab.start_stock()
    if not lab.many:
        lab.add_many()
    measure_many(lab, rows)
    measure_faults(lab, rows)


def measure_commands_of_hosts(lab: Lab, rows: Rows) -> None:
    """With as many filesystems as the next part has."""
    lab.add_many()
    measure_commands(lab, rows)


PARTS = {"idle": measure_idle, "stall": measure_stalls, "hooks": measure_hooks,
         "fault": measure_faults, "namespaces": measure_namespaces,
         "commands": measure_commands_of_hosts, "many": measure_many_filesystems}


def run_part(lab: Lab, rows: Rows, name: str) -> str:
    """What went wrong; the other parts are measured all the same."""
    note(name)
    try:
        PARTS[name](lab, rows)
    except Exception as error:
        traceback.print_exc()
        lab.after_loss()
        return f"{name}: not measured to its end: {error}"
    return ""


def main() -> int:
    words = sys.argv[1:]
    rows = Rows()
    missed: list[str] = []
    with Lab(Path(os.environ["QUIESCED_TREE"])) as lab:
        for name in PARTS:
            if not words or any(word in name for word in words):
                missed += filter(None, [run_part(lab, rows, name)])
    missed += rows.missed()
    print(rows.table())
    for line in missed:
        print(f"MISSED {line}")
    Path("build/bench.json").write_text(json.dumps(rows.data(), indent=1))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
