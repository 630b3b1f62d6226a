"""Benchmark: the commands a host sends most and those that carry most, against qemu-ga.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import base64
import statistics
import time

from bench_lab import DISKS, MANY, Lab
from bench_rows import Rows, note
from vmlab.host import AgentHost

INTERFACES = 200
FILE_MIB = 40
PIECE = 1 << 20  # what Proxmox reads at a time
FILE = "/run/bench-file"
REPEAT = 7
POLLS = ("guest-ping", "guest-info", "guest-get-time", "guest-fsfreeze-status",
         "guest-network-get-interfaces", "guest-get-fsinfo", "guest-get-host-name",
         "guest-get-users", "guest-get-timezone", "guest-get-osinfo", "guest-get-vcpus",
         "guest-get-disks")
POLL_MS = 100
# Of two agents that need the same time each is the slower one half of the times.
NOISE = 1.1


def best_ms(call, hosts: tuple[AgentHost, ...]) -> list[float]:
    """The emulator's noise only ever adds; taking turns, all have the same of what lasts longer."""
    times: list[list[float]] = [[] for _ in hosts]
    for _ in range(REPEAT):
        for number, host in enumerate(hosts):
            began = time.perf_counter()
            call(host)
            times[number].append((time.perf_counter() - began) * 1e3)
    return [min(one) for one in times]


def exec_true(host: AgentHost) -> None:
    """Until its end is known."""
    pid = host.call("guest-exec", {"path": "/bin/true"})["pid"]
    while not host.call("guest-exec-status", {"pid": pid})["exited"]:
        pass


def read_file(host: AgentHost, piece: int) -> None:
    handle = host.call("guest-file-open", {"path": FILE, "mode": "r"})
    size, end = 0, False
    while not end:
        reply = host.call("guest-file-read", {"handle": handle, "count": piece})
        size += len(base64.b64decode(reply["buf-b64"]))
        end = reply["eof"]
    host.call("guest-file-close", {"handle": handle})
    if size != FILE_MIB << 20:
        raise AssertionError(f"{size} bytes were read")


def add_interfaces(lab: Lab) -> None:
    lab.vm.run("modprobe bridge; for i in $(seq %d); do ip link add br$i type bridge && "
               "ip addr add 10.0.$i.1/24 dev br$i; done" % INTERFACES, timeout=120)


def polled_ms(host: AgentHost) -> tuple[float, str]:
    """The slowest command by the median of its times, and which it is."""
    slowest, name, worst = 0.0, "", 0.0
    for command in POLLS:
        times = []
        for _ in range(REPEAT):
            began = time.perf_counter()
            host.call(command)
            times.append((time.perf_counter() - began) * 1e3)
        worst = max(worst, *times)
        if statistics.median(times) > slowest:
            slowest, name = statistics.median(times), command
    note(f"slowest single call {worst:.0f} ms")
    return slowest, name


def measure_polls(lab: Lab, rows: Rows, stock: AgentHost) -> None:
    """Every disk writes as much as it can, the one of / included."""
    for mountpoint in [disk[0] for disk in DISKS] + ["/root"]:
        lab.vm.spawn("exec sh -c 'while :; do dd if=/dev/zero bs=1M count=200 conv=fsync "
                     f"of={mountpoint}/saturate 2>/dev/null; done'")
    time.sleep(5)
    ours, name = polled_ms(lab.host)
    theirs, _ = polled_ms(stock)
    lab.vm.run("pkill -KILL -f of=/.*saturate; pkill -KILL dd; "
               "rm -f /srv/*/saturate /root/saturate", check=False, timeout=120)
    rows.add(f"slowest poller command ({name}), disks saturated", ours, theirs, "ms",
             ours_max=POLL_MS)


def measure_commands(lab: Lab, rows: Rows) -> None:
    """Needs lab.add_many() before."""
    stock = lab.start_stock()
    add_interfaces(lab)
    lab.vm.run(f"head -c {FILE_MIB}M /dev/urandom >{FILE}", timeout=60)
    both = (lab.host, stock)
    for what, call in (
            (f"guest-get-fsinfo, {MANY} filesystems", lambda host: host.call("guest-get-fsinfo")),
            (f"guest-network-get-interfaces, {INTERFACES} interfaces",
             lambda host: host.call("guest-network-get-interfaces")),
            ("guest-exec of true, until its end is known", exec_true),
            (f"a file of {FILE_MIB} MiB read in pieces of 1 MiB",
             lambda host: read_file(host, PIECE)),
            ("the same in one piece", lambda host: read_file(host, FILE_MIB << 20))):
        ours, theirs = best_ms(call, both)
        rows.add(what, ours, theirs, "ms", NOISE)
    lab.vm.run(f"rm {FILE}; for i in $(seq {INTERFACES}); do ip link del br$i; done", timeout=120)
    measure_polls(lab, rows, stock)
