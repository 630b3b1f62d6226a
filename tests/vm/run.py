"""The virtual machine rung: real ports, systemd, FIFREEZE, PostgreSQL, libvirt. Prints TAP.

    run.py [NAME...]    only the cases whose name contains one of the words

Ends with "N passed, N failed". A case that cannot run here fails: nothing is skipped silently.
"""

import os
import sys
import time
import traceback
from pathlib import Path

import test_channels
import test_faults
import test_freeze
import test_libvirt
import test_reach
import test_readme
import test_warnings

GROUPS = (test_freeze, test_faults, test_warnings, test_channels, test_reach, test_readme,
          test_libvirt)


def main() -> int:
    tree = Path(os.environ["QUIESCED_TREE"])
    wanted = sys.argv[1:]
    groups = [(group.GROUP, group.CASES, group.machine) for group in GROUPS]
    plan = [(name, [case for case in cases
                    if not wanted or any(word in f"{name}/{case.__name__}" for word in wanted)],
             machine) for name, cases, machine in groups]
    print(f"1..{sum(len(cases) for _, cases, _ in plan)}", flush=True)
    number, failed, broken = 0, 0, 0
    for name, cases, machine in plan:
        if not cases:
            continue
        try:
            with machine(tree) as context:
                for case in cases:
                    number += 1
                    failed += not run_case(number, f"{name}/{case.__name__}", case, context)
        except Exception:  # the machine itself: every case of it that did not run has failed
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            print(f"not ok - the machine of {name} failed", flush=True)
            broken += 1
    print(f"{number - failed} passed, {failed + broken} failed", flush=True)
    return 1 if failed or broken or number == 0 else 0


def run_case(number: int, name: str, case, context) -> bool:
    began = time.monotonic()
    try:
        case(context)
    except Exception:
        for line in traceback.format_exc().splitlines():
            print(f"# {line}")
        print(f"not ok {number} - {name} ({time.monotonic() - began:.1f} s)", flush=True)
        context.after_failure()
        return False
    print(f"ok {number} - {name} ({time.monotonic() - began:.1f} s)", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
