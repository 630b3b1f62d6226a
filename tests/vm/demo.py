"""The demo: a quiesce of a real machine, told as it happens, and its proof in the snapshot.

PostgreSQL under pgbench in a virtual machine (software emulation, no KVM), frozen by a host over the agent's
port, snapshotted through QMP while frozen; the snapshot boots as a second machine that must need no journal
recovery and must have every commit that any client was told of. Touches no filesystem of this machine: all
disks are files in a temporary folder. Exits 1 if anything that it claims did not hold.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from demo_database import CLIENTS, DATA, DEVICE, Database, total
from demo_view import (BEGAN, FAILED, await_port, needs_recovery, raw, tell, timeline, title,
                       verify)
from vmlab.host import AgentError, AgentHost
from vmlab.machine import Vm

DISKS = (512, 512)  # MiB: PostgreSQL's ext4, and an xfs with a constant writer
HOLD_SECONDS = 2.0
WRITER = "/run/lab/writer"


def boot(vm: Vm) -> None:
    title("A Debian 12 machine boots, with the agent just built installed in it")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", str(vm.disks[0])], check=True)
    vm.start()


def prepare(vm: Vm) -> tuple[Database, AgentHost]:
    title("PostgreSQL on an ext4 of its own, an xfs beside it, pgbench with "
          f"{CLIENTS} clients, a writer every 10 ms")
    database = Database(vm)
    database.create()
    vm.run("modprobe xfs; mkfs.xfs -q -f /dev/vdd && mkdir -p /srv && mount /dev/vdd /srv", timeout=60)
    vm.spawn(f"exec /usr/lib/lab/stallwriter /srv 0 {WRITER}")
    await_port(vm, True)
    host = AgentHost(vm.agent_path)
    host.wait_ready()
    database.load()
    return database, host


def writer_counts(vm: Vm) -> tuple[int, int]:
    """Writes completed, and the longest in microseconds."""
    done, longest = vm.run(f"od -An -td8 -N16 {WRITER}").split()
    return int(done), int(longest)


def overlays(vm: Vm) -> dict[str, Path]:
    """An empty overlay for each disk, made beforehand as hosts do, so that the hold is short."""
    made = {}
    for name, disk in (("root", vm.root_disk), ("disk0", vm.disks[0]), ("disk1", vm.disks[1])):
        made[name] = vm.work / f"{name}.overlay"
        subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", str(disk), "-F",
                        "qcow2" if name == "root" else "raw", str(made[name]),
                        "3G" if name == "root" else f"{DISKS[0]}M"], check=True)
    return made


def snapshot(vm: Vm, made: dict[str, Path]) -> None:
    """All disks in one transaction; the machine goes on in overlays, what was is left as it is."""
    actions = [{"type": "blockdev-snapshot-sync",
                "data": {"device": name, "snapshot-file": str(overlay), "format": "qcow2", "mode": "existing"}}
               for name, overlay in made.items()]
    vm.qmp.execute("transaction", actions=actions)


def quiesce(vm: Vm, database: Database, host: AgentHost) -> dict[int, tuple[int, bool]]:
    """Freeze, proof that nothing moves, snapshot, thaw; returns the commits acknowledged by then."""
    title("The host asks: guest-fsfreeze-freeze")
    verify(needs_recovery(vm.disks[0]), "before: PostgreSQL's ext4 is marked \"needs recovery\", as any mounted one")
    made = overlays(vm)
    began = time.monotonic()
    count = host.call("guest-fsfreeze-freeze")
    tell(f"{count} filesystems frozen, answered after {(time.monotonic() - began) * 1000:.0f} ms, "
         f"status: {host.call('guest-fsfreeze-status')}")
    snapshot(vm, made)
    tell(f"snapshot of {len(DISKS) + 1} disks taken through QMP, {time.monotonic() - began:.2f} s after the request")
    first, writes = database.acknowledged(), writer_counts(vm)[0]
    time.sleep(HOLD_SECONDS)
    second, later = database.acknowledged(), writer_counts(vm)[0]
    verify(first == second, f"frozen: no commit was acknowledged ({total(first)} before, {total(second)} "
                            f"{HOLD_SECONDS:.0f} s later; {sum(w for _, w in second.values())} clients wait)")
    verify(writes == later, f"frozen: no write completed on /srv ({writes}, {later})")
    thawed = host.call("guest-fsfreeze-thaw")
    verify(thawed == count, f"guest-fsfreeze-thaw answers {thawed}")
    time.sleep(1.5)
    verify(total(database.acknowledged()) > total(second), "thawed: commits go on")
    database.stop_load()
    return second


def tell_report(host: AgentHost) -> None:
    title("What happened, by guest-quiesce-report (milliseconds from the request)")
    report = host.call("guest-quiesce-report")["operations"][0]
    timeline(report)
    verify(report["level"] == "application", "application level: all participants and filesystems were held")
    verify(any(p["name"] == "postgresql" and p["result"] == "ok" for p in report["participants"]),
           "hooks.d/postgresql made a checkpoint first")


def tell_raw(vm: Vm, host: AgentHost) -> None:
    title("The same on the wire, as a host sends it (virsh qemu-agent-command DOMAIN '...')")
    raw(host, "guest-sync", {"id": 4711})
    raw(host, "guest-fsfreeze-status")
    raw(host, "guest-fsfreeze-freeze")
    raw(host, "guest-fsfreeze-status")
    raw(host, "guest-quiesce-status")
    raw(host, "guest-fsfreeze-thaw")
    raw(host, "guest-fsfreeze-thaw")
    tell("An honest refusal: a hook that fails")
    vm.put("/etc/quiesced/hooks.d/60-shop", '#!/bin/sh\n[ "$1" = freeze ] || exit 0\n'
                                            'echo "orders still open"\nexit 1\n', 0o755)
    raw(host, "guest-fsfreeze-freeze")
    raw(host, "guest-fsfreeze-status")
    vm.run("rm /etc/quiesced/hooks.d/60-shop")


def tell_port(vm: Vm) -> None:
    title("What the host sees without asking")
    await_port(vm, True)
    vm.run("systemctl stop quiesced.service")
    tell("systemctl stop quiesced.service")
    await_port(vm, False)


def boot_snapshot(vm: Vm, acknowledged: dict[int, tuple[int, bool]]) -> None:
    title("The snapshot boots as a second machine")
    verify(not needs_recovery(vm.root_disk), "snapshot: the root ext4 needs no journal recovery")
    verify(not needs_recovery(vm.disks[0]), "snapshot: PostgreSQL's ext4 needs no journal recovery")
    # The overlay makes a copy of the root; the data disk is copied, so that the first one's stays as it is.
    with Vm(None, disks=(DISKS[0],), root=vm.root_disk, name="snapshot") as second:
        shutil.copyfile(vm.disks[0], second.disks[0])
        second.start()
        features = second.run(f"dumpe2fs -h {DEVICE} 2>/dev/null | grep '^Filesystem features'")
        verify("has_journal" in features and "needs_recovery" not in features,
               "in the second machine, before mounting: dumpe2fs lists no needs_recovery")
        database = Database(second)
        database.start()
        messages = second.run("dmesg | grep EXT4-fs || true")
        verify(messages.count("mounted filesystem") >= 2 and "recover" not in messages,
               "its kernel mounted both ext4 without a recovery")
        compare(database, acknowledged)
        for line in database.recovery():
            tell(f"PostgreSQL, which replays its own log as after a power cut: {line}")


def compare(database: Database, acknowledged: dict[int, tuple[int, bool]]) -> None:
    rows = database.rows()
    tell("client   acknowledged   in the snapshot")
    for client, (done, _) in sorted(acknowledged.items()):
        tell(f"{client:6} {done:14} {rows.get(client, 0):17}")
    verify(len(acknowledged) == CLIENTS and all(done <= rows.get(client, 0) for client, (done, _) in acknowledged.items()),
           "every acknowledged commit is there")
    verify(all(rows.get(client, 0) <= done + waiting for client, (done, waiting) in acknowledged.items()),
           "and at most the one that each client was waiting for")
    verify(database.consistent(), "no transaction is there by half: balances and ledger agree")


def main() -> int:
    tree = Path(os.environ["QUIESCED_TREE"])
    with Vm(tree, disks=DISKS, name="demo") as vm:
        boot(vm)
        database, host = prepare(vm)
        acknowledged = quiesce(vm, database, host)
        tell(f"longest write on /srv, the hold of {HOLD_SECONDS:.0f} s and more included: "
             f"{writer_counts(vm)[1] / 1e6:.2f} s")
        vm.run("pkill -KILL -x stallwriter", check=False)
        tell_report(host)
        boot_snapshot(vm, acknowledged)
        tell_raw(vm, host)
        tell_port(vm)
    title(f"Done in {time.monotonic() - BEGAN:.0f} s: " +
          ("everything held." if not FAILED else f"{len(FAILED)} CLAIMS DID NOT HOLD: {'; '.join(FAILED)}"))
    return 1 if FAILED else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (AgentError, OSError, RuntimeError, TimeoutError) as error:
        print(f"demo: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
