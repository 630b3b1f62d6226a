"""Faults by way of systemd: the unit stopped or restarted, the machine suspended or rebooted.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import time

from context import MOUNTS, check
from matrix_cell import ENTER, Cell, Fault, leave, nothing, wants
from matrix_process import LEAVE_FIRST
from matrix_rig import ALL, CONTROL, Rig
from vmlab.machine import GuestError

STOP_MS = 1000  # from `systemctl stop` to all thawed
RELEASE_MS = 2000  # from the request to all thawed: by way of logind
# logind's patience with its inhibitors is 5 s, all of which goes where a FIFREEZE is held in the
# kernel; the rest is systemd's way to the suspend.
SUSPEND_MS = 8000
REBOOT_SECONDS = 60.0  # about 12 here; the service may take 10 of its own before it is killed
SUSPENDED = f"{CONTROL}/suspended"
DROP_IN = "/run/systemd/system/systemd-suspend.service.d/lab.conf"
TOLD = "matrix: released"

# The request in flight may still be answered before the service is gone.
STOPPED = wants({
    "preparing": {"reply": "none", "thaw": "nothing"},
    "freezing": {"reply": "none", "thaw": "nothing", "bound_ms": STOP_MS},
    "frozen": {"reply": "none", "thaw": "lost", "bound_ms": STOP_MS, "reason": "stopped",
               "ended": ("stop",)},
    "thawing": {"reply": "none"},
    "aborting": {"reply": "none"},
    "lost": {"reply": "none"},
    "thawed": {"reply": "none"},
})
# PrepareForSleep ends what is under way; the service stays.
SUSPENDS = wants({
    "preparing": {"reply": "any"},
    "freezing": {"reply": "error", "thaw": "nothing", "bound_ms": RELEASE_MS},
    "frozen": {"thaw": "lost", "bound_ms": RELEASE_MS, "reason": "suspend", "ended": ("suspend",)},
})


# --- stop, restart --------------------------------------------------------------------------------


def stopping_since(rig: Rig) -> int:
    """When the service manager last began to stop it: the bound counts from there."""
    return int(rig.vm.run(["systemctl", "show", "--value", "quiesced.service",
                           "--property=ActiveExitTimestampMonotonic"]))


def systemctl(verb: str):
    """Without waiting: the hold of the state must be let go first."""
    def step(cell: Cell) -> None:
        rig = cell.rig
        rig.vm.run("pgrep -xo quiesced >/run/matrix/pid")
        before = stopping_since(rig)
        rig.vm.run(["systemctl", "--no-block", verb, "quiesced.service"])
        deadline = time.monotonic() + 20
        while (since := stopping_since(rig)) == before:
            check(time.monotonic() < deadline, "the service manager does not begin to stop it")
        cell.since = since
    return step


def gone(cell: Cell) -> None:
    cell.rig.vm.run("n=0; while test -e /proc/$(cat /run/matrix/pid); do n=$((n+1)); "
                    "[ $n -gt 500 ] && exit 1; sleep 0.02; done", timeout=30)


def start(cell: Cell) -> None:
    gone(cell)
    cell.rig.vm.run("systemctl start quiesced.service", timeout=30)


# --- suspend --------------------------------------------------------------------------------------


def fake_suspend(rig: Rig) -> None:
    """logind does all that it does; only the kernel is left out."""
    rig.vm.put(DROP_IN, "[Service]\nExecStart=\nExecStart=/bin/sh -c '/usr/lib/lab/labtool now "
                        f">{SUSPENDED}'\n")
    rig.vm.run("systemctl daemon-reload; echo 'freeze mem' >/run/matrix/power; "
               "mount --bind /run/matrix/power /sys/power/state; systemctl start systemd-logind; "
               "systemctl restart quiesced.service")
    rig.resync(rig.host)
    rig.resync(rig.second)
    rig.wait_ready()


def real_suspend(rig: Rig) -> None:
    rig.vm.run(f"rm -f {DROP_IN}; umount /sys/power/state; systemctl daemon-reload")


def suspend(cell: Cell) -> None:
    rig = cell.rig
    rig.vm.remove(SUSPENDED)
    cell.since = rig.now()
    rig.vm.run("busctl call org.freedesktop.login1 /org/freedesktop/login1 "
               "org.freedesktop.login1.Manager Suspend b false")
    rig.vm.wait_text(SUSPENDED, "\n", 20)
    at = int(rig.vm.get(SUSPENDED).split()[0])
    cell.measured["suspended"] = (at - cell.since) / 1000
    cell.within(cell.measured["suspended"], SUSPEND_MS, "from the request to the suspend")
    if cell.state == "frozen":
        ends = [end for _, end in rig.watch("thawed", ALL, cell.since, 10000)]
        check(max(ends) < at, "the machine was suspended with a frozen filesystem")


# --- reboot ---------------------------------------------------------------------------------------


def reboot(cell: Cell) -> None:
    """The machine must go down in time with everybody released, and is put back afterwards; after
    the one from FROZEN it boots from its disks as they are."""
    rig = cell.rig
    rig.vm.put(f"{CONTROL}/any", f'echo "{TOLD} $0 $1" >/dev/ttyS0\n')
    before = rig.vm.console.stat().st_size
    # A service, as any program in earnest: it is ended on the way down, and with it the splice.
    cell.runner = "systemd-run --quiet --unit=lab-splice"
    ENTER[cell.state](cell)
    began = time.monotonic()
    rig.vm.run("systemctl --no-block reboot")
    if cell.state in ("thawing", "aborting", "preparing"):
        time.sleep(0.5)
        try:
            leave(cell)
        except (OSError, GuestError):
            pass  # it was quicker
    down = rig.vm.ended(REBOOT_SECONDS * 2)
    took = time.monotonic() - began
    cell.measured["shut down"] = took * 1000
    check(down and took <= REBOOT_SECONDS, f"not shut down after {took:.0f} s")
    told = rig.vm.console.read_bytes()[before:].decode(errors="replace")
    check_released(cell, told)
    if cell.state == "frozen":
        rig.vm.reboot()
        after_boot(rig)
    rig.restore()


def check_released(cell: Cell, told: str) -> None:
    if cell.state == "thawed":
        return
    for name in ("10-app", "20-sick"):
        calls = [line.split()[-1] for line in told.splitlines() if TOLD in line and name in line]
        check(bool(calls) and calls[-1] in ("thaw", "abort"), f"{name}: {calls}")


def after_boot(rig: Rig) -> None:
    for directory, _, disk in MOUNTS:
        rig.vm.run(f"modprobe {directory[5:]} 2>/dev/null; mount /dev/{disk} {directory}")
    rig.vm.run("systemctl start quiesced-keeper.socket quiesced.service")
    rig.connect()
    check(rig.host.call("guest-fsfreeze-thaw") == 0)
    count = rig.host.call("guest-fsfreeze-freeze")
    check(count == rig.filesystems and rig.thaw(verdict=False) == str(count))


FAULTS = [
    Fault("systemctl-stop", "systemctl stop", systemctl("stop"), STOPPED, heal=start,
          order=LEAVE_FIRST, stops=True),
    Fault("systemctl-restart", "systemctl restart", systemctl("restart"), STOPPED, heal=gone,
          order=LEAVE_FIRST, stops=True),
    Fault("suspend", "suspend requested", suspend, SUSPENDS, begin=fake_suspend, end=real_suspend),
    Fault("reboot", "reboot requested", nothing, wants({}), whole=reboot),
]
