"""What the fault matrix works with: one machine, its watched filesystems, two hooks, two channels.

The machine is booted once, made ready, and saved; a cell that fails is followed by a restore. Hooks
(labhook.c) write what they were called with to /run/hook.log; one does what /run/matrix/VERB says.
The host's request goes over channel `main`; what it sees meanwhile, over `second`.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import json
import random
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from context import MOUNTS, check
from matrix_vm import SavedVm
from vmlab.host import AgentError, AgentHost
from vmlab.machine import BOOT_SECONDS

TOOL = "/usr/lib/lab/labtool"
WATCHER = "/usr/lib/lab/watcher"
WATCHED = "/run/watched"
CONTROL = "/run/matrix"
# By the watcher's digit; the root is the last.
DIRECTORIES = (*(mount[0] for mount in MOUNTS), "/root")
ALL = "".join(str(number) for number in range(len(DIRECTORIES)))
INFLIGHT = 1  # /srv/xfs is the one whose FIFREEZE is held in the kernel
SCRATCH = "/srv/scratch"  # excluded: may be frozen to keep somebody in D state
HOOKS = "/etc/quiesced/hooks.d"
HOOK_LOG = "/run/hook.log"
SNIPPETS = tuple(f"{CONTROL}/{verb}" for verb in ("prepare", "freeze", "thaw", "abort"))
HOLD = f"read -r x <>{CONTROL}/hold"
CONFIG = f"""[quiesce]
participant-timeout=20
abort-budget=8
thaw-budget=8
[filesystems]
exclude={SCRATCH}
[channel main]
method=virtio-serial
path=/dev/virtio-ports/org.qemu.guest_agent.0
[channel second]
method=virtio-serial
path=/dev/virtio-ports/org.quiesced.stock.0
"""
VERDICT = "fsfreeze is limited up to"
TOO_LATE = "frozen limit passed|still in the kernel"  # a limit too short for the freeze itself


@dataclass(frozen=True)
class HookCall:
    """A line of /run/hook.log."""

    operation: str
    name: str
    verb: str


class Rig:
    """Usable as the context of run.py's groups."""

    def __init__(self, tree: Path, name: str) -> None:
        self.vm = SavedVm(tree, (400, 400, 400, 64, 64), name)
        self.filesystems = len(DIRECTORIES)
        self.snippets = False
        self.host: AgentHost
        self.second: AgentHost

    # --- life -------------------------------------------------------------------------------

    def __enter__(self) -> "Rig":
        self.vm.start()
        for number, mkfs in enumerate((*(mount[1] for mount in MOUNTS), "mkfs.ext4 -q")):
            mountpoint = (*DIRECTORIES[:-1], SCRATCH)[number]
            module = mkfs.split()[0].rsplit(".", 1)[1]
            self.vm.run(f"modprobe {module} 2>/dev/null; {mkfs} /dev/vd{'cdef'[number]} && "
                        f"mkdir -p {mountpoint} && mount /dev/vd{'cdef'[number]} {mountpoint}",
                        timeout=120)
        self.vm.run(f"mkdir -p {CONTROL} && mkfifo {CONTROL}/hold; udevadm settle; sync",
                    timeout=BOOT_SECONDS)
        self.vm.put("/etc/quiesced/quiesced.conf.d/matrix.conf", CONFIG)
        self.vm.run(f"mkdir -p {HOOKS}; for hook in 10-app 20-sick; do "
                    f"cp /usr/lib/lab/labhook {HOOKS}/$hook; done")
        self.vm.spawn(f"exec {WATCHER} run {WATCHED} {' '.join(DIRECTORIES)}")
        self.vm.run("systemctl daemon-reload; systemctl start quiesced-keeper.socket; "
                    "systemctl restart quiesced.service", timeout=BOOT_SECONDS)
        self.connect()
        self.vm.run("sync", timeout=60)
        self.vm.save()
        return self

    def __exit__(self, *exception) -> None:
        self.vm.__exit__(*exception)

    def connect(self) -> None:
        self.host = AgentHost(self.vm.agent_path)
        self.second = AgentHost(self.vm.stock_path)
        self.resync(self.host, 30)
        self.resync(self.second, 30)
        self.wait_ready()

    def restore(self) -> None:
        self.vm.restore()
        self.filesystems = len(DIRECTORIES)
        self.connect()

    # --- the host ---------------------------------------------------------------------------

    def resync(self, host: AgentHost, seconds: float = 15) -> None:
        """As AgentHost.sync(), but asks often: a dying service takes requests with it."""
        deadline = time.monotonic() + seconds
        while True:
            number = random.randrange(1 << 40)
            host.request("guest-sync", {"id": number})
            try:
                while True:
                    reply = host.line(0.7).lstrip(b"\xff")
                    if json.loads(reply or b"null") == {"return": number}:
                        return
            except json.JSONDecodeError:
                continue  # half an answer of the service before
            except (TimeoutError, socket.timeout):
                check(time.monotonic() < deadline, "the agent does not answer guest-sync")

    def reconnect(self) -> None:
        """The host's connection anew, as after its restart."""
        self.host.close()
        self.host = AgentHost(self.vm.agent_path)
        self.resync(self.host)

    def reopen_second(self) -> None:
        self.second = AgentHost(self.vm.stock_path)

    def status(self) -> dict:
        return self.second.call("guest-quiesce-status", timeout=10)

    def wait_status(self, what: str, condition, seconds: float = 20) -> dict:
        deadline = time.monotonic() + seconds
        while not condition(status := self.status()):
            check(time.monotonic() < deadline, f"waited {seconds} s for {what}: {status}")
            time.sleep(0.05)
        return status

    def wait_state(self, state: str, seconds: float = 20) -> dict:
        return self.wait_status(f"state {state}", lambda status: status["state"] == state, seconds)

    def wait_ready(self, seconds: float = 20) -> None:
        self.wait_status("readiness", lambda status: status["ready"], seconds)

    def wait_settled(self, seconds: float = 25) -> None:
        """Until nothing is being released any more."""
        self.wait_status("stragglers", lambda status: not status["waiting-for"], seconds)

    def thaw(self, verdict: bool) -> str:
        """The host's thaw: the verdict's text, or the count."""
        try:
            count = self.host.call("guest-fsfreeze-thaw", timeout=30)
        except AgentError as error:
            check(error.desc.startswith(VERDICT), error.desc)
            check(verdict, f"the freeze was held, the thaw said: {error.desc}")
            return error.desc
        check(not verdict, "the freeze was lost, and the thaw was a silent success")
        return str(count)

    def report(self, operation: str) -> dict | None:
        """What the agent says of an operation; None: nothing."""
        try:
            found = self.second.call("guest-quiesce-report", {"operation": operation})
        except AgentError as error:
            check("has not been found" in error.desc, error.desc)
            return None
        return found["operations"][0]

    # --- inside -----------------------------------------------------------------------------

    def now(self) -> int:
        return int(self.vm.clock() * 1_000_000)

    def wall_to_clock(self, unix_ms: int) -> int:
        """CLOCK_MONOTONIC, microseconds, of a time on the guest's wall clock."""
        clock, wall = (int(word) for word in self.vm.run([TOOL, "now"]).split())
        return unix_ms * 1000 - wall + clock

    def strike(self, signal: str, *names: str) -> int:
        """Sends the signal; the guest's time right before it, in microseconds."""
        return int(self.vm.run([TOOL, "strike", signal, *names]))

    def tool(self, arguments: str) -> None:
        """Starts labtool and leaves it there."""
        self.vm.spawn(f"exec {TOOL} {arguments}")

    def watch(self, verb: str, which: str, *arguments: int) -> list[list[int]]:
        """The begin and the end of the write held up, by filesystem of `which`."""
        words = [str(argument) for argument in arguments]
        reply = self.vm._ask({"run": [WATCHER, verb, WATCHED, which, *words], "timeout": 60}, 65)
        lines = [[int(word) for word in line.split()] for line in reply["out"].splitlines()]
        names = [DIRECTORIES[int(digit)] for digit in which]
        check(reply["rc"] == 0, f"not {verb}: {dict(zip(names, lines))} {words} {reply['err']}")
        return lines

    def thawed_after_ms(self, since: int, which: str, patience_ms: int) -> float:
        """How long after `since` the last of the filesystems could be written to again."""
        ends = [end for _, end in self.watch("thawed", which, since, patience_ms)]
        return max(0.0, *((end - since) / 1000 for end in ends))

    def snippet(self, verb: str, text: str) -> None:
        """What the sick hook does at `verb`, as shell text."""
        self.vm.put(f"{CONTROL}/{verb}", text + "\n")
        self.snippets = True

    def release_hooks(self) -> None:
        """Every held hook goes on, and none is held any more."""
        if self.snippets:
            self.vm.remove(*SNIPPETS)
            self.vm.run([TOOL, "feed", f"{CONTROL}/hold"])
        self.snippets = False

    def hook_timeout(self, seconds: int) -> None:
        """0: the configuration's."""
        if seconds:
            self.vm.put(f"{HOOKS}/20-sick.conf", f"[Hook]\nTimeout={seconds}\n")
        else:
            self.vm.remove(f"{HOOKS}/20-sick.conf")

    def hook_calls(self) -> list[HookCall]:
        return [HookCall(*line.split()[1:4]) for line in self.vm.get(HOOK_LOG).splitlines()
                if len(line.split()) == 4]

    def forget_calls(self) -> None:
        self.vm.put(HOOK_LOG, "")

    def wait_hook(self, verb: str, seconds: float = 20) -> None:
        """Until the sick hook was called with `verb`."""
        self.vm.wait_text(HOOK_LOG, f"sick {verb}\n", seconds)

    def fresh(self) -> None:
        """Nothing of the cell before is left; fails if something of it is still wrong."""
        self.vm.remove(*SNIPPETS, f"{CONTROL}/any")
        self.forget_calls()
        self.snippets = False
        status = self.wait_status("a quiet machine", lambda status: not status["waiting-for"])
        check(status["state"] == "thawed" and not status["verdict-pending"], str(status))

    def explain(self) -> list[str]:
        """What the agent said, for a cell that failed; the machine may not answer at all."""
        try:
            return self.vm.run("journalctl -b --no-pager -o short-monotonic | grep -i quiesced "
                               "| tail -n 15; tail -n 12 /run/hook.log; "
                               "for p in 1 $(pgrep quiesced); do grep -H '^State' "
                               "/proc/$p/task/*/status; done", timeout=10).splitlines()
        except Exception as error:
            return [f"the machine does not answer: {error}"]


def error_matches(text: str, wanted: str) -> bool:
    return bool(re.search(wanted, text))
