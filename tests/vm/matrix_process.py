"""Faults of the two processes: signals, both at once, PID 1 blocked, memory run out.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import socket
import time

from context import check
from matrix_cell import Cell, Fault, nothing, wants
from matrix_rig import SCRATCH, TOOL, Rig

SERVICE, KEEPER = "quiesced", "quiesced-keeper"
KILLED_MS, BOTH_KILLED_MS, SILENCE_MS = 100, 2000, 6000
# Longer than the ten ticks of 500 ms after which a silent process counts as hung.
SILENT_SECONDS, SHORT_SECONDS = 6.2, 1.2
CGROUP = "/sys/fs/cgroup/system.slice/quiesced.service"
OOM_REQUEST = 24 << 20
TIMER = """[Timer]
OnCalendar=*:*:*
AccuracySec=1ms
Persistent=true
"""
TICK = "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/true\n"

# The service is gone, and with it whoever waited for its answer.
SERVICE_DIES = wants({
    "*": {"once": False},
    "preparing": {"reply": "none", "thaw": "nothing"},
    "freezing": {"reply": "none", "thaw": "nothing", "bound_ms": KILLED_MS},
    "frozen": {"reply": "none", "thaw": "lost", "bound_ms": KILLED_MS,
               "reason": "service", "ended": ("service-death",)},
    # The thaw was asked for, so the freeze was held; whether a successor knows is another matter.
    "thawing": {"reply": "none", "thaw": "any"},
    "aborting": {"reply": "none", "thaw": "nothing"},
    "lost": {"reply": "none"},
    "thawed": {"reply": "none"},
})
KEEPER_DIES = wants({
    "preparing": {"reply": "error", "text": "keeper", "thaw": "nothing"},
    "freezing": {"reply": "error", "text": "keeper", "thaw": "nothing"},
    "frozen": {"thaw": "lost", "bound_ms": KILLED_MS, "ended": ("keeper-death",)},
})
BOTH_DIE = wants({"freezing": {"bound_ms": BOTH_KILLED_MS}, "frozen": {"bound_ms": BOTH_KILLED_MS}},
                 SERVICE_DIES)


def strike(signal: str, *names: str):
    """A step that sends the signal and knows when."""
    def step(cell: Cell) -> None:
        cell.since = cell.rig.strike(signal, *names)
    return step


# --- SIGSTOP --------------------------------------------------------------------------------------


def stop_process(name: str):
    """Long enough to count as hung where anything is at stake, else for a moment."""
    def step(cell: Cell) -> None:
        strike("STOP", name)(cell)
        if not cell.want.bound_ms:
            time.sleep(SHORT_SECONDS if cell.state != "preparing" else SILENT_SECONDS)
    return step


def continue_process(name: str):
    def step(cell: Cell) -> None:
        # A keeper that does not answer may have been replaced.
        cell.rig.vm.run(f"{TOOL} strike CONT {name} || true")
    return step


# --- SIGABRT with a core dump ---------------------------------------------------------------------


def want_core(cell: Cell) -> None:
    cell.rig.vm.run("sysctl -q kernel.core_pattern=/srv/ext4/core.%p; "
                    "prlimit --core=unlimited --pid $(pgrep -xo quiesced)")


def no_core(cell: Cell) -> None:
    cell.rig.vm.run("sysctl -q kernel.core_pattern=core; rm -f /srv/ext4/core.*")


# --- PID 1 ----------------------------------------------------------------------------------------


def add_timer(rig: Rig) -> None:
    rig.vm.put("/run/systemd/system/lab-tick.timer", TIMER)
    rig.vm.put("/run/systemd/system/lab-tick.service", TICK)
    rig.vm.run("systemctl daemon-reload")


def remove_timer(rig: Rig) -> None:
    rig.vm.run("rm -f /run/systemd/system/lab-tick.*; systemctl daemon-reload")


def root_in_flight(cell: Cell) -> None:
    """Where a FIFREEZE is held in the kernel it is the root's: its writers wait as well."""
    cell.inflight = 3


def block_pid1(cell: Cell) -> None:
    """The timer's stamp is on the root: frozen by us, or else by somebody."""
    if cell.state not in ("freezing", "frozen"):
        cell.rig.vm.run("fsfreeze -f /")
    cell.rig.vm.spawn("exec systemctl start lab-tick.timer")
    cell.rig.vm.run([TOOL, "waitd", "1", "20000"])


def block_pid1_and_kill(name: str):
    def step(cell: Cell) -> None:
        block_pid1(cell)
        strike("KILL", name)(cell)
    return step


def unblock_pid1(cell: Cell) -> None:
    if cell.state not in ("freezing", "frozen"):
        cell.rig.vm.run("fsfreeze -u /")
    cell.rig.vm.run("systemctl stop lab-tick.timer; rm -f /var/lib/systemd/timers/stamp-lab-*",
                    timeout=30)


# --- both, and a hook in D state ------------------------------------------------------------------


def hook_in_d(cell: Cell) -> None:
    """The sick hook, or a child that it left behind, waits for a filesystem that somebody froze."""
    rig = cell.rig
    rig.vm.run(f"fsfreeze -f {SCRATCH}")
    if cell.state in ("preparing", "thawing", "aborting"):
        cell.hold = f"echo x >{SCRATCH}/left"
        return
    rig.snippet("prepare", f"(echo x >{SCRATCH}/left) &")
    if cell.state == "thawed":  # of a quiesce that is over
        count = rig.host.call("guest-fsfreeze-freeze")
        check(rig.thaw(verdict=False) == str(count))
        rig.vm.run("pgrep -f 20-sick >/dev/null; : >/run/hook.log")


def thaw_scratch(cell: Cell) -> None:
    cell.rig.vm.run(f"fsfreeze -u {SCRATCH}; rm -f {SCRATCH}/left")


# --- memory ---------------------------------------------------------------------------------------


def run_out_of_memory(cell: Cell) -> None:
    """A request larger than what the service's cgroup still may have; the kernel kills."""
    rig = cell.rig
    rig.vm.run(f"dmesg -C; now=$(cat {CGROUP}/memory.current); "
               f"echo $((now + (1 << 20))) >{CGROUP}/memory.max")
    rig.second.socket.settimeout(5)
    sent = b'{"execute":"guest-ping","arguments":{"x":"' + b"x" * OOM_REQUEST
    try:
        rig.second.socket.sendall(sent)
    except (TimeoutError, socket.timeout):
        pass
    rig.vm.run("n=0; until dmesg | grep -q 'Killed process [0-9]* (quiesced)'; do n=$((n+1)); "
               "[ $n -gt 200 ] && exit 1; sleep 0.05; done", timeout=40)
    line = rig.vm.run("dmesg | grep 'Killed process [0-9]* (quiesced)' | head -n 1")
    cell.since = int(float(line.split("]")[0].strip("[ ")) * 1_000_000)


def memory_again(cell: Cell) -> None:
    cell.rig.vm.run(f"echo max >{CGROUP}/memory.max 2>/dev/null || true")
    cell.rig.second.close()
    cell.rig.reopen_second()


# A FIFREEZE of the root in the kernel keeps PID 1 from healing anything.
LEAVE_FIRST = ("measure", "leave", "heal", "reply")

FAULTS = [
    Fault("none", "no fault", nothing, wants({})),
    Fault("service-kill", "service SIGKILL", strike("KILL", SERVICE), SERVICE_DIES),
    Fault("service-stop", "service SIGSTOP", stop_process(SERVICE),
          wants({"freezing": {"reply": "error", "text": "", "thaw": "nothing",
                              "bound_ms": SILENCE_MS},
                 "frozen": {"thaw": "lost", "bound_ms": SILENCE_MS,
                            "ended": ("service-death",)}}),
          heal=continue_process(SERVICE)),
    Fault("service-abort", "service SIGABRT with a core pattern on the frozen filesystem",
          strike("ABRT", SERVICE), SERVICE_DIES, heal=no_core, arrange=want_core),
    Fault("keeper-kill", "keeper SIGKILL", strike("KILL", KEEPER), KEEPER_DIES, freezing="hook"),
    Fault("keeper-stop", "keeper SIGSTOP", stop_process(KEEPER),
          wants({"preparing": {"reply": "error", "text": "keeper", "thaw": "nothing"},
                 # Five seconds of a stuck FIFREEZE and of silence end at about the same time.
                 "freezing": {"reply": "error", "text": "keeper|FIFREEZE", "thaw": "nothing",
                              "bound_ms": SILENCE_MS},
                 "frozen": {"thaw": "lost", "bound_ms": SILENCE_MS,
                            "ended": ("keeper-death",)}}),
          heal=continue_process(KEEPER)),
    Fault("both-kill", "both SIGKILL", strike("KILL", SERVICE, KEEPER), BOTH_DIE),
    Fault("both-kill-hook-d", "both SIGKILL with a hook in D",
          strike("KILL", SERVICE, KEEPER), BOTH_DIE, arrange=hook_in_d, heal=thaw_scratch),
    Fault("pid1-service-kill", "service SIGKILL while a Persistent timer blocks PID 1",
          block_pid1_and_kill(SERVICE), SERVICE_DIES, heal=unblock_pid1, arrange=root_in_flight,
          begin=add_timer, end=remove_timer, order=LEAVE_FIRST),
    Fault("pid1-keeper-kill", "keeper SIGKILL while a Persistent timer blocks PID 1",
          block_pid1_and_kill(KEEPER), wants({"freezing": {"bound_ms": KILLED_MS}}, KEEPER_DIES),
          heal=unblock_pid1, arrange=root_in_flight, begin=add_timer, end=remove_timer,
          order=LEAVE_FIRST),
    Fault("service-oom", "out of memory in the service", run_out_of_memory, SERVICE_DIES,
          heal=memory_again),
]
