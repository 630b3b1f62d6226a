"""Faults of a hook: it hangs, cannot be ended, leaves children behind, says too much.

The hook is sick in the verb that runs in the state: in LOST that is the abort which follows the
loss. Where no hook runs it is what a hook left behind.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

from matrix_cell import Cell, Fault, freeze, nothing, wants
from matrix_process import thaw_scratch
from matrix_rig import SCRATCH

TIMEOUT = 4  # of a hook that hangs; the others must not feel it on a machine that is slow
VERB = {"preparing": "prepare", "freezing": "freeze", "thawing": "thaw", "aborting": "abort",
        "lost": "abort"}
HANGS = "exec sleep 60"
IGNORES = "trap '' TERM; while :; do sleep 1; done"
FORKS = "sleep 60 & exit 0"
FLOODS = "head -c 6000000 /dev/zero | tr '\\0' x; exit 0"
FLOODS_ON = "(while :; do echo flood; done) & exit 0"
IN_D = f"echo x >{SCRATCH}/left; exit 0"
LEFT_IN_D = f"(echo x >{SCRATCH}/left) & exit 0"
NO_HOOK = "no hook runs in this state, and one that outlives its verb's time is killed in it"


def sick(text: str, left: str = ""):
    """Enters the state with the hook sick in its verb, or with what it left behind."""
    def step(cell: Cell) -> None:
        verb = VERB.get(cell.state)
        rig = cell.rig
        if not verb:
            rig.snippet("freeze", left)
            freeze(cell)
            if cell.state == "thawed":
                rig.host.call("guest-fsfreeze-thaw")
            return
        if cell.state == "aborting":
            rig.snippet("freeze", "exit 7")
        rig.snippet(verb, text)
        if cell.state == "lost":
            cell.limit_ms = 3000
        if cell.state in ("thawing", "lost"):
            freeze(cell)
        else:
            cell.ask_freeze()
        if cell.state == "thawing":
            rig.host.request("guest-fsfreeze-thaw")
        rig.wait_hook(verb)
    return step


def impatient(cell: Cell) -> None:
    if cell.state in VERB:
        cell.rig.hook_timeout(TIMEOUT)


def impatient_in_d(cell: Cell) -> None:
    impatient(cell)
    cell.rig.vm.run(f"fsfreeze -f {SCRATCH}")


def patient(cell: Cell) -> None:
    cell.rig.hook_timeout(0)
    cell.rig.release_hooks()
    cell.rig.vm.run("pkill -KILL -x sleep; pkill -KILL -f '[2]0-sick'; true")


def patient_in_d(cell: Cell) -> None:
    thaw_scratch(cell)
    cell.rig.hook_timeout(0)
    cell.rig.release_hooks()


def timed_out(verb: str) -> dict:
    return {"reply": "error", "thaw": "nothing", "text": fr"sick: {verb}: timed out after [4-8]\.\d s"}


HUNG = wants({"preparing": timed_out("prepare"), "freezing": timed_out("freeze")})
ORDER = ("reply", "thaw", "heal")
NOT_HELD = {"thawed": NO_HOOK, "frozen": NO_HOOK}

FAULTS = [
    Fault("hook-hangs", "hook hangs", nothing, HUNG, heal=patient, arrange=impatient, order=ORDER,
          enter=sick(HANGS), not_applicable=NOT_HELD),
    Fault("hook-ignores-term", "hook ignores SIGTERM", nothing, HUNG, heal=patient,
          arrange=impatient, order=ORDER, enter=sick(IGNORES), not_applicable=NOT_HELD),
    Fault("hook-forks", "hook forks and holds stdout", nothing, wants({}), heal=patient,
          arrange=impatient, order=ORDER, enter=sick(FORKS, FORKS)),
    Fault("hook-floods", "hook floods output", nothing, wants({}), heal=patient, order=ORDER,
          enter=sick(FLOODS, FLOODS_ON)),
    Fault("hook-in-d", "hook in D state", nothing, HUNG, heal=patient_in_d,
          arrange=impatient_in_d, order=ORDER, enter=sick(IN_D, LEFT_IN_D)),
]
