"""Faults of FIFREEZE itself: refused, stuck, undone by somebody else.

A cause that is there when FIFREEZE comes fails the freeze and is named; one that comes later, or
goes before, must not be felt. In THAWED the request comes after the cause; in PREPARING and
FREEZING the request under way meets it.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import time

from context import check, unmount
from matrix_cell import ENTER, Cell, Fault, wants
from matrix_process import KEEPER, strike
from matrix_rig import DIRECTORIES, TOOL, Rig

STUCK_MS = 5000  # after it a FIFREEZE counts as stuck, and what is frozen is thawed
STUCK = r"/srv/(ext4|xfs): filesystem: FIFREEZE"
EACCES, EPERM = 13, 1
OPENAT = "257"  # the number of the system call
DROP_IN = "/run/systemd/system/quiesced-keeper.service.d/lab.conf"
DM, DM_DEVICE = "/srv/dm", "/dev/vdg"
LOOP, CARRIER, MOVED = "/srv/loop", "/srv/carrier", "/srv/moved"


def meets(text: str, **more) -> dict:
    """The freeze that meets the cause fails and names it."""
    changes: dict = {"reply": "error", "text": text, "thaw": "nothing", **more}
    return {"thawed": {"ask": True, **changes}, "preparing": changes, "freezing": changes}


def foreign(mountpoint: str, option: str) -> str:
    return f"fsfreeze {option} {mountpoint}"


# --- refused --------------------------------------------------------------------------------------


def freeze_before_us(cell: Cell) -> None:
    """Somebody else's freeze; in FROZEN the kernel refuses it, as ours is there."""
    if cell.state == "frozen":
        cell.rig.vm.run(f"! {foreign('/srv/xfs', '-f')} 2>/dev/null")
    else:
        cell.rig.vm.run(foreign("/srv/xfs", "-f"))


def foreign_freeze_is_left_alone(cell: Cell) -> None:
    """FITHAW succeeds only where the other's freeze is still there."""
    if cell.state != "frozen":
        cell.rig.vm.run(foreign("/srv/xfs", "-u"))


def keeper_of_the_lab(rig: Rig) -> None:
    """The same keeper with one call that fails on demand."""
    rig.vm.put(DROP_IN, "[Service]\nExecStart=\nExecStart=/usr/lib/lab/quiesced-keeper\n")
    restart_keeper(rig)


def real_keeper(rig: Rig) -> None:
    rig.vm.run(f"rm -f {DROP_IN}")
    restart_keeper(rig)


def restart_keeper(rig: Rig) -> None:
    rig.vm.run("systemctl daemon-reload; systemctl stop quiesced-keeper.service")
    time.sleep(0.2)
    rig.wait_ready()


def fails_with(number: int):
    def step(cell: Cell) -> None:
        device = cell.rig.vm.run("mountpoint -d /srv/ext4").strip()
        cell.rig.vm.put("/run/matrix/keeper-errno", f"{device} {number}\n")
    return step


def fails_no_more(cell: Cell) -> None:
    cell.rig.vm.remove("/run/matrix/keeper-errno")


# --- a device that fails --------------------------------------------------------------------------


def add_device(rig: Rig) -> None:
    """A filesystem on device-mapper, whose table can be exchanged for errors."""
    rig.vm.run(f"modprobe dm_mod; size=$(blockdev --getsz {DM_DEVICE}); mkdir -p {DM}; "
               f"dmsetup create lab --table \"0 $size linear {DM_DEVICE} 0\" && "
               f"mkfs.ext4 -q -F /dev/mapper/lab && mount /dev/mapper/lab {DM} && udevadm settle")
    rig.filesystems += 1


def remove_device(rig: Rig) -> None:
    rig.vm.run(unmount(DM) + "dmsetup remove --retry lab")
    rig.filesystems -= 1


def load_table(target: str) -> str:
    return (f"size=$(blockdev --getsz {DM_DEVICE}); "
            "dmsetup suspend --noflush --nolockfs lab && "
            f"dmsetup load lab --table \"0 $size {target}\" && dmsetup resume lab; ")


def device_fails(cell: Cell) -> None:
    """With something to be written, where anything can be."""
    dirty = "" if cell.state == "frozen" else f"echo dirty >{DM}/file; "
    cell.rig.vm.run(dirty + load_table("error"))


def device_again(cell: Cell) -> None:
    """A journal that met the error stays aborted: the filesystem is made anew."""
    cell.rig.vm.run(unmount(DM) + load_table(f"linear {DM_DEVICE} 0") +
                    f"mkfs.ext4 -q -F /dev/mapper/lab && mount /dev/mapper/lab {DM}")


# --- stuck ----------------------------------------------------------------------------------------


def add_loop(rig: Rig) -> None:
    """A filesystem in a file, whose carrier is moved later: by its path it is not to be found."""
    rig.vm.run(f"modprobe loop; mount --make-private /; mkdir -p {LOOP} {CARRIER} {MOVED}; "
               "truncate -s 96M /srv/ext4/carrier; mkfs.ext4 -q /srv/ext4/carrier; "
               f"mount -o loop /srv/ext4/carrier {CARRIER}; "
               f"truncate -s 32M {CARRIER}/image; mkfs.ext4 -q {CARRIER}/image; sync {CARRIER}",
               timeout=60)
    rig.filesystems += 1


def remove_loop(rig: Rig) -> None:
    rig.vm.run(unmount(CARRIER) + "rm -f /srv/ext4/carrier")
    rig.filesystems -= 1


def mount_loop(cell: Cell) -> None:
    cell.rig.vm.run(f"mount -o loop {CARRIER}/image {LOOP}; "
                    f"dd if=/dev/zero of={LOOP}/dirty bs=1M count=8 status=none", timeout=60)
    cell.rig.filesystems += 1


def loop_early(cell: Cell) -> None:
    """With the carrier frozen nothing can be mounted from it."""
    if cell.state == "frozen":
        mount_loop(cell)


def loop_order(cell: Cell) -> None:
    if cell.state != "frozen":
        mount_loop(cell)
    cell.rig.vm.run(f"mount --move {CARRIER} {MOVED}")


def unmount_loop(cell: Cell) -> None:
    cell.rig.vm.run(unmount(LOOP) + f"mount --move {MOVED} {CARRIER}")
    cell.rig.filesystems -= 1


def listen(cell: Cell) -> None:
    """A scanner of files that does not answer; with / frozen its program starts from memory."""
    cell.rig.tool("listen /srv/ext4")
    cell.inflight = 0
    if cell.state == "frozen":
        return  # the open waits for the thaw
    cell.rig.vm.run([TOOL, "waitcall", "scanned", OPENAT, "20000"])
    cell.spliced = cell.state in ("thawed", "preparing", "freezing")


def splice(cell: Cell) -> None:
    if cell.state == "frozen":
        cell.rig.tool("splice /srv/xfs/spliced")
    else:
        cell.splice()
        cell.spliced = cell.state in ("thawed", "preparing", "freezing")


def unstick(cell: Cell) -> None:
    cell.let_go = cell.rig.strike("KILL", "labtool")


# --- a FIFREEZE in flight, and the keeper dies ----------------------------------------------------


def straggler(cell: Cell) -> None:
    """A freeze cancelled with its FIFREEZE in the kernel; it goes on in the state of the cell."""
    rig = cell.rig
    cell.splice()
    cell.splice_holds = True
    if cell.state == "aborting":
        rig.snippet("abort", "read -r x <>/run/matrix/hold")
    cell.ask_freeze()
    rig.watch("frozen", "012", 20000)
    rig.second.request("guest-fsfreeze-thaw")
    if cell.state == "aborting":
        rig.wait_hook("abort")
        return
    check(rig.second.reply(timeout=20) == 0)
    answer_of_cancelled(cell)
    if cell.state == "preparing":
        cell.ask_freeze()
        rig.wait_state("preparing")


def enter_in_flight(cell: Cell) -> None:
    (ENTER["freezing"] if cell.state == "freezing" else straggler)(cell)


def answer_of_cancelled(cell: Cell) -> None:
    try:
        reply = str(cell.rig.host.reply(timeout=20))
    except Exception as error:  # AgentError: what is wanted
        reply = str(error)
    check("cancelled" in reply, reply)


def late_thaw_reply(cell: Cell) -> None:
    if cell.state == "aborting":
        cell.rig.release_hooks()
        check(cell.rig.second.reply(timeout=20) == 0)


# --- others ---------------------------------------------------------------------------------------


def foreign_thaw(cell: Cell) -> None:
    command = "; ".join(f"{foreign(directory, '-u')} 2>/dev/null" for directory in DIRECTORIES)
    cell.rig.vm.run(command.replace("/root", "/") + "; true")


def second_freezer(cell: Cell) -> None:
    """Freezes, looks, thaws what it froze, as a backup script does."""
    cell.rig.vm.run("for n in 1 2; do for m in /srv/ext4 /srv/btrfs; do "
                    "fsfreeze -f $m 2>/dev/null && sleep 0.1 && fsfreeze -u $m; done; done; true")


MET = {"order": ("leave", "reply", "measure", "thaw", "heal"), "freezing": "hook"}
INJECTED = {**MET, "begin": keeper_of_the_lab, "end": real_keeper}

NEVER_IN_FLIGHT = "no FIFREEZE can be in the kernel: FROZEN is entered when all have returned"
LOST_TO_OTHER = {"thaw": "lost", "reason": "was thawed by somebody else", "ended": ("local-thaw",)}

FAULTS = [
    Fault("keeper-kill-inflight", "keeper SIGKILL with a FIFREEZE in flight",
          strike("KILL", KEEPER),
          wants({"preparing": {"reply": "any"}, "aborting": {"text": "cancelled"},
                 "freezing": {"reply": "error", "text": "keeper", "thaw": "nothing",
                              "bound_ms": 100}}),
          heal=late_thaw_reply, enter=enter_in_flight,
          not_applicable=dict.fromkeys(("frozen", "thawing", "lost"), NEVER_IN_FLIGHT)),
    Fault("freeze-ebusy", "FIFREEZE returns EBUSY", freeze_before_us,
          wants(meets("/srv/xfs: filesystem: frozen by somebody else")),
          heal=foreign_freeze_is_left_alone, **MET),
    Fault("freeze-eio", "FIFREEZE returns EIO", device_fails,
          wants(meets(f"{DM}: filesystem: .*Input/output error")),
          heal=device_again, begin=add_device, end=remove_device, **MET),
    Fault("freeze-eacces", "FIFREEZE returns EACCES", fails_with(EACCES),
          wants(meets("/srv/ext4: filesystem: FIFREEZE: Permission denied")),
          heal=fails_no_more, **INJECTED),
    Fault("freeze-eperm", "FIFREEZE returns EPERM", fails_with(EPERM),
          wants(meets("/srv/ext4: filesystem: FIFREEZE: Operation not permitted")),
          heal=fails_no_more, **INJECTED),
    Fault("stuck-loop", "FIFREEZE stuck by loop order", loop_order,
          wants({"thawed": {"ask": True, "reply": "ok", "thaw": "held"}}), heal=unmount_loop,
          arrange=loop_early, begin=add_loop, end=remove_loop, **MET),
    Fault("stuck-fanotify", "FIFREEZE stuck by a fanotify listener", listen,
          wants(meets(STUCK, stall_ms=STUCK_MS)), heal=unstick, **MET),
    Fault("stuck-splice", "FIFREEZE stuck by a splice writer", splice,
          wants(meets(STUCK, stall_ms=STUCK_MS)), heal=unstick, **MET),
    Fault("foreign-thaw", "a foreign FITHAW during the freeze", foreign_thaw,
          wants({"freezing": LOST_TO_OTHER, "frozen": LOST_TO_OTHER})),
    Fault("second-freezer", "second freezer running fsfreeze", second_freezer, wants({})),
]
