"""guest-get-fsinfo and guest-get-disks: an invented sysfs, and filesystems that do not answer."""

import os
import subprocess
import time
import unittest
from pathlib import Path

import tap
from testbed import AgentError, Case, wait_for

PCI = "devices/pci0000:00/0000:00:05.0"
ADDRESS = {"pci-controller": {"domain": 0, "bus": 0, "slot": 5, "function": 0},
           "bus-type": "virtio", "bus": 0, "target": 0, "unit": 0}
SIZES = {"used-bytes", "total-bytes", "total-bytes-privileged"}


def with_sizes(case: Case) -> list[dict]:
    """All filesystems with their sizes: what is late for the first time is told without."""
    found: list[dict] = []

    def look() -> bool:
        found[:] = case.host.call("guest-get-fsinfo")
        return all(SIZES <= set(entry) for entry in found)

    wait_for(look, 20, "the sizes", case.bed)
    return found


class Storage(Case):
    """One agent; a case makes its devices and mounts."""

    def setUp(self) -> None:
        super().setUp()
        self.sys = self.bed.root / "sys"
        (self.sys / "block").mkdir()

    def link(self, name: str, target: str) -> None:
        path = self.sys / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def device(self, place: str, number: str, whole: bool = True) -> None:
        """A block device at `place` of sysfs, as the kernel shows it."""
        name = Path(place).name
        major, minor = number.split(":")
        self.bed.put(f"sys/{place}/uevent", f"MAJOR={major}\nMINOR={minor}\nDEVNAME={name}\n")
        self.bed.put(f"sys/{place}/dev", f"{number}\n")
        self.bed.put(f"sys/{place}/size", "2048\n")
        self.link(f"dev/block/{number}", f"../../{place}")
        self.link(f"class/block/{name}", f"../../{place}")
        if whole:
            (self.sys / place / "slaves").mkdir()
            self.link(f"block/{name}", f"../{place}")
        else:
            self.bed.put(f"sys/{place}/partition", "1\n")

    def disks(self) -> None:
        """vda with a partition, and a device-mapper device on both it and vdb."""
        self.link(f"{PCI}/driver", "../../../bus/pci/drivers/virtio-pci")
        self.device(f"{PCI}/virtio1/block/vda", "250:0")
        self.device(f"{PCI}/virtio1/block/vda/vda1", "250:5", whole=False)
        self.bed.put("run/udev/data/b250:0", "E:ID_SERIAL=SN0\n")
        self.device("devices/platform/x/virtio9/block/vdb", "250:16")
        self.device("devices/virtual/block/dm-0", "250:1")
        self.bed.put("sys/devices/virtual/block/dm-0/dm/name", "vg-data\n")
        self.link("devices/virtual/block/dm-0/slaves/vda", "x")
        self.link("devices/virtual/block/dm-0/slaves/vdb", "x")

    def test_filesystems_and_their_disks(self) -> None:
        self.disks()
        self.serve()
        upper, lower = with_sizes(self)
        self.assertEqual((upper["name"], lower["name"]), ("dm-0", "vda"))
        self.assertEqual((lower["mountpoint"], lower["type"]),
                         (str(self.bed.directory("a")), "ext4"))
        self.assertEqual(lower["disk"], [ADDRESS | {"serial": "SN0", "dev": "/dev/vda"}])
        self.assertEqual([disk["dev"] for disk in upper["disk"]], ["/dev/vda", "/dev/vdb"])
        state = os.statvfs(self.bed.directory("a"))
        self.assertEqual(lower["total-bytes-privileged"], state.f_blocks * state.f_frsize)
        self.assertLessEqual(lower["used-bytes"], lower["total-bytes"])

    def test_disks(self) -> None:
        self.disks()
        self.device("devices/virtual/block/loop0", "7:0")
        self.bed.put("sys/devices/virtual/block/loop0/size", "0\n")
        self.serve()
        self.assertEqual(self.host.call("guest-get-disks"), [
            {"name": "/dev/dm-0", "partition": False, "alias": "vg-data",
             "dependencies": ["/dev/vda", "/dev/vdb"]},
            {"name": "/dev/vda", "partition": False, "dependencies": [],
             "address": ADDRESS | {"serial": "SN0", "dev": "/dev/vda"}},
            {"name": "/dev/vda1", "partition": True, "dependencies": ["/dev/vda"]},
            {"name": "/dev/vdb", "partition": False, "dependencies": [],
             "address": ADDRESS | {"dev": "/dev/vdb", "pci-controller":
                                   {"domain": -1, "bus": -1, "slot": -1, "function": -1}}},
        ])

    def test_nothing_known_is_still_a_list(self) -> None:
        (self.sys / "block").rmdir()
        self.serve()
        self.assertEqual([entry["name"] for entry in self.host.call("guest-get-fsinfo")],
                         ["250:1", "250:0"])
        with self.assertRaises(AgentError) as caught:
            self.host.call("guest-get-disks")
        self.assertIn("Can't open directory", caught.exception.desc)
        (self.bed.root / "mountinfo").write_text("20 1 0:20 / / rw - tmpfs none rw\n"
                                                 "21 20 0:21 / /n rw - nfs server:/x rw\n")
        # One that is late is answered from memory, once.
        wait_for(lambda: self.host.call("guest-get-fsinfo") == [], 5, "the empty list", self.bed)

    def test_from_memory_while_frozen(self) -> None:
        """Also when nobody asked before; what changes meanwhile is not looked at."""
        self.disks()
        self.serve()
        self.host.call("guest-fsfreeze-freeze")
        self.assertEqual(len(self.host.call("guest-get-fsinfo")), 2)
        (self.bed.root / "mountinfo").rename(self.bed.root / "gone")
        times = []  # the best counts: one that is late may be this machine's
        for _ in range(3):
            began = time.monotonic()
            self.assertEqual(len(self.host.call("guest-get-fsinfo")), 2)
            self.assertEqual(len(self.host.call("guest-get-disks")), 4)
            times.append(time.monotonic() - began)
        self.assertLess(min(times), 2)
        (self.bed.root / "gone").rename(self.bed.root / "mountinfo")
        self.host.call("guest-fsfreeze-thaw")
        self.assertEqual(len(self.host.call("guest-get-fsinfo")), 2)

    @unittest.skipIf("QUIESCED_SANITIZED" in os.environ, "takes longer than a host waits then")
    def test_ten_thousand_mounts(self) -> None:
        lines = ["20 1 0:20 / / rw - tmpfs none rw"]
        lines += [f"{n + 30} 20 {n // 1000 + 240}:{n % 1000} / /nowhere/{n} rw - ext4 /dev/x rw"
                  for n in range(10_000)]
        (self.bed.root / "mountinfo").write_text("\n".join(lines) + "\n")
        self.serve()
        other = self.bed.host()
        self.addCleanup(other.close)
        self.host.request("guest-get-fsinfo")
        times = sorted(other.ping() for _ in range(50))
        self.assertEqual(len(self.host.reply()["return"]), 10_000)
        print(f"# longest ping beside 10 000 mounts: {times[-1] * 1000:.0f} ms")

    def test_mount_points_of_any_bytes(self) -> None:
        (self.bed.root / "mountinfo").write_bytes(
            b"20 1 0:20 / / rw - tmpfs none rw\n"
            b"30 20 250:0 / /tmp/\xff\\040\xfe rw - ext4 /dev/x rw\n")
        self.serve()
        self.assertEqual([entry["mountpoint"] for entry in self.host.call("guest-get-fsinfo")],
                         ["/tmp/\ufffd \ufffd"])


class Hanging(Case):
    """A filesystem whose server never answers: FUSE without its daemon's help. Needs root."""

    def setUp(self) -> None:
        super().setUp()
        self.fuse = -1

    def mount_dead(self) -> None:
        """Nobody reads from the device, so every question to it waits."""
        mountpoint = self.bed.directory("b")
        try:
            self.fuse = os.open("/dev/fuse", os.O_RDWR)
        except OSError as error:
            self.skipTest(f"/dev/fuse: {error.strerror}")
        self.addCleanup(os.close, self.fuse)
        done = subprocess.run(
            ["mount", "-i", "-t", "fuse", "-o",
             f"fd={self.fuse},rootmode=40000,user_id=0,group_id=0", "test", str(mountpoint)],
            pass_fds=[self.fuse], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest(f"cannot mount: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(mountpoint)], check=True)

    def test_the_others_are_answered(self) -> None:
        self.serve()
        with_sizes(self)
        self.mount_dead()
        # What is late for the first time has its sizes of before.
        wait_for(lambda: not SIZES & set(self.host.call("guest-get-fsinfo")[0]), 10,
                 "an answer without the sizes of the dead", self.bed)
        times = []
        for _ in range(12):
            began = time.monotonic()
            dead, alive = self.host.call("guest-get-fsinfo")
            times.append(time.monotonic() - began)
            self.assertEqual(alive["mountpoint"], str(self.bed.directory("a")))
            self.assertLessEqual(SIZES, set(alive))
            self.assertFalse(SIZES & set(dead))
        self.assertEqual(self.host.call("guest-ping"), {})
        times.sort()
        print(f"# fsinfo with a dead filesystem: median {times[6] * 1000:.1f} ms, "
              f"longest {times[-1] * 1000:.0f} ms")
        self.assertLess(times[6], 0.1)
        tasks = len(os.listdir(f"/proc/{self.bed.process.pid}/task"))
        self.assertLess(tasks, 12, "one thread hangs, not one a request")
        self.assertEqual(self.host.call("guest-fsfreeze-freeze-list",
                                        mountpoints=[str(self.bed.directory("a"))]), 1)
        self.assertEqual(len(self.host.call("guest-get-fsinfo")), 2)
        self.assertEqual(self.host.call("guest-fsfreeze-thaw"), 1)

    @unittest.skipIf("QUIESCED_SANITIZED" in os.environ, "LeakSanitizer waits for every thread")
    def test_the_agent_still_ends(self) -> None:
        self.serve()
        self.mount_dead()
        wait_for(lambda: not SIZES & set(self.host.call("guest-get-fsinfo")[0]), 10,
                 "a thread that hangs", self.bed)
        self.assertEqual(self.bed.stop(), 0)


if __name__ == "__main__":
    tap.main()
