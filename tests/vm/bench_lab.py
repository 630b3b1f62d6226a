"""The machine of the benchmark: four data disks, both agents, a hundred small filesystems.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import time
from pathlib import Path

from vmlab.host import AgentError, AgentHost
from vmlab.machine import Vm

THROTTLE = 40_000_000  # bytes per second that each data disk writes
DISKS = (("/srv/a", "ext4", "vdc"), ("/srv/b", "xfs", "vdd"), ("/srv/c", "btrfs", "vde"),
         ("/srv/d", "ext4", "vdf"))
MANY, MANY_MIB, MANY_DISK = 100, 10, "vdg"
# Single calls are the best of this many: the emulator's noise only ever adds.
TRIES = 3


class Lab:
    """The machine with quiesced running; qemu-ga beside it, on a port of its own, when asked for."""

    def __init__(self, tree: Path) -> None:
        self.vm = Vm(tree, disks=(400, 400, 400, 400, MANY * MANY_MIB + 8), throttle=THROTTLE,
                     name="bench")
        self.host: AgentHost
        self.stock: AgentHost | None = None
        self.many = False  # add_many() was called
        self.directories = [disk[0] for disk in DISKS] + ["/root"]

    def __enter__(self) -> "Lab":
        try:
            self.vm.start()
            for mountpoint, kind, disk in DISKS:
                force = "-f" if kind != "ext4" else ""
                self.vm.run(f"modprobe {kind} 2>/dev/null; mkfs.{kind} -q {force} /dev/{disk} && "
                            f"mkdir -p {mountpoint} && mount /dev/{disk} {mountpoint}", timeout=120)
            # Dirty data must stay in memory until somebody flushes it.
            self.vm.run("sysctl -q vm.dirty_ratio=60 vm.dirty_background_ratio=50")
            self.host = AgentHost(self.vm.agent_path)
            self.host.wait_ready()
        except BaseException:
            self.vm.__exit__()
            raise
        return self

    def __exit__(self, *exception) -> None:
        self.vm.__exit__(*exception)

    def start_stock(self, options: str = "") -> AgentHost:
        """qemu-ga anew, with these options."""
        self.vm.run("pkill -x qemu-ga", check=False)
        if self.stock:
            self.stock.close()
        time.sleep(0.5)
        self.vm.spawn("exec qemu-ga -m virtio-serial -p /dev/virtio-ports/org.quiesced.stock.0 "
                      + options)
        self.stock = AgentHost(self.vm.stock_path)
        self.stock.sync()
        return self.stock

    def freeze_seconds(self, host: AgentHost) -> float:
        """One freeze and thaw of all there is; how long the freeze took."""
        host.sync()
        began = time.monotonic()
        host.call("guest-fsfreeze-freeze", timeout=120)
        took = time.monotonic() - began
        host.call("guest-fsfreeze-thaw", timeout=120)
        return took

    def best_freeze(self, host: AgentHost) -> float:
        return min(self.freeze_seconds(host) for _ in range(TRIES))

    def add_many(self) -> None:
        """A hundred small filesystems, on slices of one disk."""
        sectors = MANY_MIB * 2048
        self.vm.run(f"modprobe dm_mod; set -e; for n in $(seq 0 {MANY - 1}); do "
                    f"echo 0 {sectors} linear /dev/{MANY_DISK} $((n * {sectors})) | "
                    "dmsetup create many$n; done; udevadm settle", timeout=120)
        self.vm.run(f"set -e; for n in $(seq 0 {MANY - 1}); do "
                    "mkfs.ext4 -q -E nodiscard /dev/mapper/many$n; mkdir -p /srv/many/$n; "
                    "mount -o noinit_itable /dev/mapper/many$n /srv/many/$n; done; sync",
                    timeout=300)
        self.directories += [f"/srv/many/{number}" for number in range(MANY)]
        self.many = True

    def after_loss(self) -> None:
        """The freeze was lost: the host hears of it, and the agent is ready for the next."""
        self.host.buffer = b""
        self.host.sync(60)
        try:
            self.host.call("guest-fsfreeze-thaw", timeout=60)
        except AgentError:
            pass
        self.host.wait_ready(60)
