"""Benchmark: what an application feels of a freeze, and what the agent costs when it does nothing.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import statistics
import time

from bench_lab import DISKS, TRIES, Lab
from bench_rows import Rows, note
from vmlab.host import AgentHost
from vmlab.machine import Vm

DIRTY_MIB = 64
PINGS = 300
ANON_KIB = 2048
IDLE_SECONDS = 60
NO_WATCHDOG = "/run/systemd/system/quiesced.service.d/bench.conf"
OURS = "quiesced|quiesced-keeper"


def result(vm: Vm, number: int) -> list[int]:
    return [int(word) for word in vm.run(f"od -v -An -td8 -N32 /run/w{number}").split()]


def stalls(vm: Vm, host: AgentHost) -> tuple[dict[str, int], float]:
    """The longest write by filesystem (milliseconds), the freeze's own time (seconds)."""
    vm.run("sync", timeout=60)
    for mountpoint, _, _ in DISKS:
        vm.run(f"rm -f {mountpoint}/dirty; sync {mountpoint}", timeout=60)
    for number, (mountpoint, _, _) in enumerate(DISKS):
        vm.spawn(f"exec /usr/lib/lab/stallwriter {mountpoint} {DIRTY_MIB} /run/w{number}")
    deadline = time.monotonic() + 60
    while not all(result(vm, number)[3] for number in range(len(DISKS))):
        if time.monotonic() > deadline:
            raise TimeoutError("the dirty data was not written to the page cache")
        time.sleep(0.2)
    dirty = vm.run("grep -E '^(Dirty|Writeback):' /proc/meminfo").split()
    began = time.monotonic()
    host.call("guest-fsfreeze-freeze", timeout=120)
    took = time.monotonic() - began
    # The frozen time itself is not the agent's: every write under way now ends with the thaw.
    frozen_at = int(vm.clock() * 1_000_000)
    pending = [result(vm, number) for number in range(len(DISKS))]
    host.call("guest-fsfreeze-thaw", timeout=120)
    vm.run("pkill -KILL stallwriter", check=False)
    longest = {}
    for (mountpoint, kind, _), values in zip(DISKS, pending):
        waiting = frozen_at - values[2] if values[2] else 0
        longest[f"{kind} {mountpoint}"] = round(max(values[1], waiting) / 1000)
    note(f"dirty before: {dirty[1]} kB, freeze {took:.2f} s, stalls {longest}")
    return longest, took


def ping_us(host: AgentHost) -> float:
    times = []
    for _ in range(PINGS):
        began = time.perf_counter()
        host.call("guest-ping")
        times.append((time.perf_counter() - began) * 1e6)
    return statistics.median(times)


def status_sum(vm: Vm, names: str, keys: str) -> int:
    """Of these lines of the status of every thread of the processes."""
    return int(vm.run(f"for p in $(pgrep -x '{names}'); do cat /proc/$p/task/*/status; done | "
                      f"awk '/^({keys}):/ {{s += $2}} END {{print s + 0}}'"))


def anon_kib(vm: Vm, names: str) -> int:
    return int(vm.run(f"for p in $(pgrep -x '{names}'); do grep RssAnon /proc/$p/status; done | "
                      "awk '{s += $2} END {print s + 0}'"))


def best_stalls(vm: Vm, host: AgentHost) -> tuple[dict[str, int], float]:
    """The try whose worst was least. Every 5 s ext4 commits its journal, and who writes meanwhile
    waits until that is through the disk's queue; a try in which this met the write-back says nothing
    of the agent."""
    return min((stalls(vm, host) for _ in range(TRIES)), key=lambda one: max(one[0].values()))


def measure_stalls(lab: Lab, rows: Rows) -> None:
    stock = lab.start_stock()
    theirs, their_freeze = best_stalls(lab.vm, stock)
    ours, our_freeze = best_stalls(lab.vm, lab.host)
    worst = max(theirs.values())
    for name, stall in ours.items():
        if name.startswith("btrfs"):
            rows.add(f"longest write stall, {name}", stall, theirs[name], "ms", 1 / 5)
        else:
            rows.add(f"longest write stall, {name} (against the worst)", stall, worst, "ms", 1 / 20)
    rows.add("freeze call, pre-sync included", our_freeze, their_freeze, "s")


def wake_ups(lab: Lab, names: str) -> float:
    """A minute, in a minute in which the host says nothing."""
    keys = "voluntary_ctxt_switches|nonvoluntary_ctxt_switches"
    before = status_sum(lab.vm, names, keys)
    time.sleep(IDLE_SECONDS)
    return (status_sum(lab.vm, names, keys) - before) * 60 / IDLE_SECONDS


def measure_idle(lab: Lab, rows: Rows) -> None:
    stock = lab.start_stock()
    rows.add("ping round trip, median", ping_us(lab.host), ping_us(stock), "µs", 1.0)
    lab.freeze_seconds(lab.host)
    lab.freeze_seconds(stock)
    rows.add("RssAnon after a freeze (service and keeper)", anon_kib(lab.vm, OURS),
             anon_kib(lab.vm, "qemu-ga"), "KiB", ours_max=ANON_KIB)
    lab.host.call("guest-fsfreeze-freeze", timeout=60)
    frozen = anon_kib(lab.vm, OURS)
    lab.host.call("guest-fsfreeze-thaw", timeout=60)
    rows.add("RssAnon while frozen", frozen, None, "KiB", ours_max=ANON_KIB)
    lab.vm.put(NO_WATCHDOG, "[Service]\nWatchdogSec=0\n")
    lab.vm.run("systemctl daemon-reload; systemctl restart quiesced.service", timeout=60)
    lab.host.wait_ready()
    lab.freeze_seconds(lab.host)
    time.sleep(20)  # GLib's idle threads end after 15 s
    ours = wake_ups(lab, OURS)
    rows.add("idle wake-ups a minute, without WatchdogSec", ours, wake_ups(lab, "qemu-ga"), "",
             ours_max=0)
    lab.vm.run(f"rm {NO_WATCHDOG}; systemctl daemon-reload; systemctl restart quiesced.service",
               timeout=60)
    lab.host.wait_ready()
