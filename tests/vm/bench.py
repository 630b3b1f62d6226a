"""./run bench: quiesced and the distribution's qemu-ga, side by side in one machine in one run.

Prints a table in Markdown, and fails when a target is missed. Single times depend on this machine;
the ratios are what counts.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path

from vmlab.host import AgentHost
from vmlab.machine import Vm

THROTTLE = 40_000_000  # bytes per second that each data disk writes
DIRTY_MIB = 64
DISKS = (("/srv/a", "ext4", "vdc"), ("/srv/b", "xfs", "vdd"), ("/srv/c", "btrfs", "vde"),
         ("/srv/d", "ext4", "vdf"))
HOOKS = 32


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
    print(f"    dirty before: {dirty[1]} kB, freeze {took:.2f} s, stalls {longest}",
          file=sys.stderr)
    return longest, took


def ping_us(host: AgentHost, count: int = 300) -> float:
    times = []
    for _ in range(count):
        began = time.perf_counter()
        host.call("guest-ping")
        times.append((time.perf_counter() - began) * 1e6)
    return statistics.median(times)


def hooks_seconds(vm: Vm, host: AgentHost) -> float:
    host.sync()
    began = time.monotonic()
    host.call("guest-fsfreeze-freeze", timeout=120)
    took = time.monotonic() - began
    host.call("guest-fsfreeze-thaw", timeout=120)
    return took


def write_hooks(vm: Vm, directory: str) -> None:
    for number in range(HOOKS):
        vm.put(f"{directory}/hook{number:02d}.sh", "#!/bin/sh\nexec sleep 0.1\n", 0o755)


def start_stock(vm: Vm, options: str = "") -> AgentHost:
    vm.run("pkill -x qemu-ga", check=False)
    time.sleep(0.5)
    vm.spawn(f"exec qemu-ga -m virtio-serial -p /dev/virtio-ports/org.quiesced.stock.0 {options}")
    host = AgentHost(vm.stock_path)
    host.sync()
    return host


def anon_kib(vm: Vm, names: str) -> int:
    return int(vm.run(f"for p in $(pgrep -x '{names}'); do grep RssAnon /proc/$p/status; done | "
                      "awk '{s += $2} END {print s}'"))


def measure(vm: Vm) -> tuple[list[tuple], list[str]]:
    rows: list[tuple] = []
    missed: list[str] = []

    def row(what: str, ours: float, stock: float, unit: str, most: float) -> None:
        ratio = ours / stock if stock else float("inf")
        rows.append((what, ours, stock, unit, ratio, most))
        if ratio > most:
            missed.append(f"{what}: ratio {ratio:.3f}, at most {most:.3f} wanted")

    host = AgentHost(vm.agent_path)
    host.wait_ready()
    ours_ping = ping_us(host)
    stock = start_stock(vm)
    row("ping round trip, median", ours_ping, ping_us(stock), "µs", 1.0)
    anon = (anon_kib(vm, "quiesced|quiesced-keeper"), anon_kib(vm, "qemu-ga"))
    rows.append(("RssAnon (service and keeper)", anon[0], anon[1], "KiB", anon[0] / anon[1], 0))
    if anon[0] > 2048:
        missed.append(f"RssAnon {anon[0]} KiB, at most 2048 wanted")
    theirs, their_freeze = stalls(vm, stock)
    ours, our_freeze = stalls(vm, host)
    worst = max(theirs.values())
    for name, stall in ours.items():
        if name.startswith("btrfs"):
            row(f"longest write stall, {name}", stall, theirs[name], "ms", 1 / 5)
        else:
            row(f"longest write stall, {name} (against the worst)", stall, worst, "ms", 1 / 20)
    rows.append(("freeze call", our_freeze, their_freeze, "s", our_freeze / their_freeze, 0))
    # The same scripts for both: quiesced runs the stock directory as it is.
    write_hooks(vm, "/etc/qemu/fsfreeze-hook.d")
    ours_hooks = hooks_seconds(vm, host)
    stock.close()
    stock = start_stock(vm, "-F")
    row(f"{HOOKS} hooks of 100 ms at freeze", ours_hooks, hooks_seconds(vm, stock), "s", 1 / 6)
    return rows, missed


def main() -> int:
    tree = Path(os.environ["QUIESCED_TREE"])
    with Vm(tree, disks=(400, 400, 400, 400), throttle=THROTTLE, name="bench") as vm:
        vm.start()
        for mountpoint, kind, disk in DISKS:
            force = "-f" if kind != "ext4" else ""
            vm.run(f"modprobe {kind} 2>/dev/null; mkfs.{kind} -q {force} /dev/{disk} && "
                   f"mkdir -p {mountpoint} && mount /dev/{disk} {mountpoint}", timeout=120)
        # Dirty data must stay in memory until somebody flushes it.
        vm.run("sysctl -q vm.dirty_ratio=60 vm.dirty_background_ratio=50")
        rows, missed = measure(vm)
    print("| what | quiesced | qemu-ga | ratio | target |\n|---|---|---|---|---|")
    for what, ours, stock, unit, ratio, most in rows:
        target = f"at most {most:.3g}" if most else ""
        print(f"| {what} | {ours:.4g} {unit} | {stock:.4g} {unit} | {ratio:.3g} | {target} |")
    for line in missed:
        print(f"MISSED {line}")
    Path("build/bench.json").write_text(json.dumps(rows))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
