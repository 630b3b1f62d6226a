"""The soak: freezes and thaws under write load, with a fault at random in every few of them.

    ./run vm soak                            30 cycles
    SOAK_CYCLES=500 SOAK_SEED=N ./run vm soak

Two cases on one machine. In the first the faults are of a kind that both processes survive: the same
two processes must be there afterwards, with the fds and the memory that they had after warming up. In
the second, processes are killed as well. After every cycle all filesystems can be written to, the
host was told the truth, and nobody is held; at the end nothing is left over. A failure names the seed
and the cycle.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import random
import time

from context import check, check_settings
from matrix_process import KEEPER, SERVICE
from matrix_rig import ALL, HOOKS, TOO_LATE, VERDICT, Rig, error_matches
from vmlab.host import AgentError

GROUP = "soak"
NAMED = True
CYCLES = int(os.environ.get("SOAK_CYCLES", "30"))
SEED = int(os.environ.get("SOAK_SEED", str(random.randrange(1 << 30))))
WARM = max(5, min(25, CYCLES // 4))  # cycles for allocators and pools to get what they need
FAULTS_IN = 3  # one cycle in so many has a fault
HOOK_CONF = "[Hook]\nVerbs=freeze,thaw,abort\nTimeout={0}\n"  # the cycles are about the agent
PATIENT, IMPATIENT = 20, 1
MEMORY_KIB = 256  # by how much RssAnon of both may differ; a leak of one KiB a cycle shows
LIMIT_MS = 30000
SHORT_LIMIT_MS = 400
WRITABLE_MS = 15000
LEFT_SECONDS = 20  # a process that ended, or an fd that is closed, a moment ago is no leak
LOAD = "while :; do dd if=/dev/zero of={0}/load bs=64k count=16 status=none; sleep 0.5; done"


class Soak(Rig):
    """A Rig with write load, one short hook, and what a cycle needs."""

    def __init__(self, tree) -> None:
        super().__init__(tree, GROUP)
        self.random = random.Random(SEED)
        self.told: dict[str, int] = {}

    def __enter__(self) -> "Soak":
        super().__enter__()
        self.load()
        return self

    def load(self) -> None:
        """One hook, and writers."""
        self.vm.remove(f"{HOOKS}/10-app")
        self.hook_patience(PATIENT)
        for directory in ("/srv/ext4", "/srv/xfs"):
            self.vm.spawn(LOAD.format(directory))

    def hook_patience(self, seconds: int) -> None:
        self.vm.put(f"{HOOKS}/20-sick.conf", HOOK_CONF.format(seconds))

    def after_failure(self) -> None:
        print(f"# seed {SEED}, faults so far: {self.told}")
        for line in self.explain():
            print(f"# {line}")
        self.restore()
        self.load()

    # --- what is left over ------------------------------------------------------------------

    def processes(self) -> dict[str, str]:
        return {name: self.vm.run(f"pgrep -x {name}").strip() for name in (SERVICE, KEEPER)}

    def fds(self) -> dict[str, list[str]]:
        """What the two have open, without the numbers that differ from one to the next."""
        return {name: sorted(self.vm.run(
            f"ls -l /proc/$(pgrep -x {name})/fd | sed -n 's/.* -> //p' | sed 's/:.*//'").split())
            for name in (SERVICE, KEEPER)}

    def steady_fds(self) -> dict[str, list[str]]:
        """The same at two looks: the history is written, and fds closed, after the answer."""
        deadline = time.monotonic() + LEFT_SECONDS
        before, now = None, self.fds()
        while before != now:
            check(time.monotonic() < deadline, f"fds come and go: {before} {now}")
            time.sleep(1)
            before, now = now, self.fds()
        return now

    def check_fds(self, wanted: dict[str, list[str]]) -> None:
        deadline = time.monotonic() + LEFT_SECONDS
        while (now := self.fds()) != wanted:
            check(time.monotonic() < deadline, f"fds: {wanted} became {now}")
            time.sleep(0.5)

    def anon_kib(self) -> int:
        return int(self.vm.run("cat /proc/$(pgrep -x quiesced)/status "
                               "/proc/$(pgrep -x quiesced-keeper)/status | "
                               "awk '/RssAnon/ {s += $2} END {print s}'"))

    def nothing_left(self) -> None:
        self.wait_settled()
        deadline = time.monotonic() + LEFT_SECONDS
        while left := self.vm.run("ps -eo stat=,args= | grep -E '^Z|^D.*quiesced|hooks[.]d' || true"):
            check(time.monotonic() < deadline, f"left over: {left}")
        check_settings(self.vm)
        for name, pids in self.processes().items():
            check(len(pids.split()) == 1, f"{name}: {pids}")

    # --- a cycle ----------------------------------------------------------------------------

    def freeze(self, limit_ms: int = LIMIT_MS) -> str:
        """The error, or nothing."""
        try:
            reply = self.host.call("guest-quiesce-freeze", {"frozen-limit-ms": limit_ms}, timeout=30)
            check(reply["count"] == self.filesystems, str(reply))
            return ""
        except AgentError as error:
            return error.desc

    def thaw_any(self) -> str:
        """The verdict, or the count."""
        try:
            return str(self.host.call("guest-fsfreeze-thaw", timeout=30))
        except AgentError as error:
            check(error.desc.startswith(VERDICT), error.desc)
            return error.desc

    def plain(self) -> None:
        check(self.freeze() == "", "the freeze failed")
        check(self.thaw(verdict=False) == str(self.filesystems))

    def lost_to_limit(self) -> None:
        error = self.freeze(SHORT_LIMIT_MS)
        if error:  # the limit passed before the answer: a slow moment
            check(error_matches(error, TOO_LATE), error)
            return
        self.wait_state("lost")
        check("the frozen limit passed" in self.thaw(verdict=True))

    def foreign_thaw(self) -> None:
        check(self.freeze() == "")
        self.vm.run("fsfreeze -u /srv/xfs")
        check("thawed by somebody else" in self.thaw(verdict=True))

    def foreign_freeze(self) -> None:
        self.vm.run("fsfreeze -f /srv/xfs")
        check("frozen by somebody else" in self.freeze())
        self.vm.run("fsfreeze -u /srv/xfs")

    def hook_fails(self) -> None:
        self.snippet("freeze", "echo no; exit 3")
        check("sick: freeze: no" in self.freeze())
        self.release_hooks()

    def hook_hangs(self) -> None:
        self.hook_patience(IMPATIENT)
        self.snippet("freeze", "exec sleep 30")
        check("timed out" in self.freeze())
        self.release_hooks()
        self.hook_patience(PATIENT)

    def host_leaves(self) -> None:
        """In the middle of the freeze; somebody else thaws what it may have left."""
        self.host.request("guest-fsfreeze-freeze")
        time.sleep(self.random.uniform(0, 0.5))
        self.host.close()
        self.second.call("guest-fsfreeze-thaw", timeout=30)
        self.reconnect()
        self.thaw_any()  # the other channel's may have been read before the freeze

    def cancelled(self) -> None:
        """A thaw from the other channel, at any moment of the freeze."""
        self.host.request("guest-fsfreeze-freeze")
        time.sleep(self.random.uniform(0, 0.5))
        self.second.call("guest-fsfreeze-thaw", timeout=30)
        try:
            self.host.reply(timeout=30)
        except AgentError as error:
            check("cancelled" in error.desc, error.desc)
        self.thaw_any()

    def killed(self, *names: str) -> None:
        """At any moment of the freeze or after it."""
        self.host.request("guest-fsfreeze-freeze")
        time.sleep(self.random.uniform(0, 1.2))
        self.strike("KILL", *names)
        if SERVICE in names:
            self.resync(self.host, 30)
            self.resync(self.second, 30)
            self.wait_ready(30)
        else:
            try:
                self.host.reply(timeout=30)
            except AgentError as error:
                check("keeper" in error.desc, error.desc)
        self.thaw_any()

    def service_killed(self) -> None:
        self.killed(SERVICE)

    def keeper_killed(self) -> None:
        self.killed(KEEPER)

    def both_killed(self) -> None:
        self.killed(SERVICE, KEEPER)

    def cycle(self, number: int, faults: list) -> None:
        fault = self.random.choice(faults) if self.random.randrange(FAULTS_IN) == 0 else self.plain
        name = fault.__name__
        self.told[name] = self.told.get(name, 0) + 1
        try:
            fault()
            check(self.thaw(verdict=False) == "0", "the thaw after the thaw did something")
            self.watch("writable", ALL, WRITABLE_MS)
            if fault != self.plain:
                self.wait_settled()
                self.wait_ready(30)
        except Exception as error:
            raise AssertionError(f"cycle {number} ({name}), seed {SEED}: {error}") from error


def run_cycles(soak: Soak, count: int, faults: list) -> None:
    soak.told = {}
    began = time.monotonic()
    for number in range(count):
        soak.cycle(number, faults)
    soak.nothing_left()
    took = time.monotonic() - began
    print(f"# seed {SEED}: {count} cycles in {took:.0f} s: {soak.told}")


def cycles_that_both_survive(soak: Soak) -> None:
    faults = [soak.lost_to_limit, soak.foreign_thaw, soak.foreign_freeze, soak.hook_fails,
              soak.hook_hangs, soak.host_leaves, soak.cancelled]
    for fault in faults:
        fault()
        soak.wait_settled()
    run_cycles(soak, WARM, faults)
    processes, fds, anon = soak.processes(), soak.steady_fds(), soak.anon_kib()
    run_cycles(soak, CYCLES // 2, faults)
    check(soak.processes() == processes, f"{processes} became {soak.processes()}")
    soak.check_fds(fds)
    after = soak.anon_kib()
    print(f"# RssAnon of both: {anon} KiB, after {CYCLES // 2} cycles {after} KiB")
    check(abs(after - anon) <= MEMORY_KIB, f"{anon} KiB became {after} KiB")


def cycles_with_killed_processes(soak: Soak) -> None:
    soak.plain()  # the connection to the bus comes with the first freeze
    fds = soak.steady_fds()
    run_cycles(soak, CYCLES - CYCLES // 2,
               [soak.service_killed, soak.keeper_killed, soak.both_killed, soak.lost_to_limit,
                soak.host_leaves, soak.cancelled])
    soak.wait_ready()
    soak.plain()
    soak.check_fds(fds)


def machine(tree, _lane: int = 0) -> Soak:
    return Soak(tree)


CASES = [cycles_that_both_survive, cycles_with_killed_processes]
