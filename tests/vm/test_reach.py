"""Which filesystems a freeze reaches and in what order: namespaces, mounts over mounts, stacks."""

import time

from context import Machine, check, unmount

GROUP = "reach"
SPARE = ("vdf", "vdg")
FARM = (500, 20)  # namespaces, mounts in each


class Reach(Machine):
    """With two spare disks and what the cases build on them."""

    def __enter__(self) -> "Reach":
        super().__enter__()
        self.vm.run("modprobe -a loop dm-mod raid1 fuse nfsv3 2>/dev/null; ip link set lo up; "
                    "mkdir -p /run/images")
        for disk in SPARE:
            self.vm.run(f"mkfs.ext4 -q /dev/{disk}")
        return self

    def loop(self, name: str, folder: str = "/run/images", mkfs: bool = True) -> str:
        """A loop device over a new file in `folder`, with ext4 on it."""
        image = f"{folder}/{name}.img"
        device = self.vm.run(f"truncate -s 64M {image} && losetup -f --show {image}").strip()
        if mkfs:
            self.vm.run(f"mkfs.ext4 -q {device}")
        return device

    def space(self, name: str, inside: str) -> int:
        """A process that did `inside` in a mount namespace of its own and stays; its number."""
        self.vm.put(f"/run/{name}.sh", f"{inside}\necho $$ >/run/{name}.ready\n"
                                       "exec sleep 1000000\n")
        self.vm.spawn(f"exec unshare -m sh -e /run/{name}.sh 2>/run/{name}.log")
        self.vm.wait_until(f"test -s /run/{name}.ready", 20, name)
        return int(self.vm.run(f"cat /run/{name}.ready"))

    def plan(self) -> dict[str, dict]:
        """What a freeze would do with each filesystem, by mount point."""
        found = self.host.call("guest-quiesce-plan")["filesystems"]
        return {entry["mountpoint"]: entry for entry in found}

    def freezable(self) -> int:
        return sum(entry["action"] == "freeze" for entry in self.plan().values())

    def freeze(self, *mountpoints: str) -> int:
        if not mountpoints:
            return self.host.call("guest-fsfreeze-freeze")
        return self.host.call("guest-fsfreeze-freeze-list", {"mountpoints": mountpoints})

    def results(self) -> dict[str, str]:
        """What became of each filesystem in the last freeze."""
        return {f["mountpoint"]: f["result"] for f in self.last_report()["filesystems"]}

    def thaw(self) -> int:
        return self.host.call("guest-fsfreeze-thaw")

    def writer(self, directory: str, name: str, inside: str = "") -> None:
        """Writes there from now on; `inside` is a command to run it by, such as nsenter."""
        self.vm.spawn(f"exec {inside} /usr/lib/lab/stallwriter {directory} 0 /run/w-{name}")
        self.vm.wait_until(f"test $(od -v -An -td8 -N8 /run/w-{name}) -gt 0", 20, f"writer {name}")

    def writes(self, name: str) -> int:
        return int(self.vm.run(f"od -v -An -td8 -N8 /run/w-{name}"))

    def stands_still(self, name: str) -> bool:
        """Whether no write of the writer completes (one may have passed the freeze's gate, and be
        counted late)."""
        time.sleep(0.3)
        before = self.writes(name)
        time.sleep(0.7)
        return self.writes(name) <= before + 1

    def goes_on(self, name: str) -> bool:
        """Whether the writer writes, if need be after a wait for its disk."""
        before, deadline = self.writes(name), time.monotonic() + 15
        while self.writes(name) < before + 3:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True

    def table(self) -> str:
        return self.vm.run("cat /proc/1/mountinfo")

    def frozen_then_thawed(self, count: int, *writers: str) -> None:
        """Freezes everything; the writers stand still until the thaw."""
        counts = [self.freeze()]
        still = {name: self.stands_still(name) for name in writers}
        counts.append(self.thaw())
        check(counts == [count, count], f"{counts}, not {count}: {self.last_report()}")
        check(all(still.values()), str(still))
        check(all(self.goes_on(name) for name in writers), "still frozen")

    def frozen_by_name(self, mountpoint: str, still: str, going: str) -> None:
        """Freezes what the name means: one writer stands still, the other does not."""
        check(self.freeze(mountpoint) == 1)
        found = self.stands_still(still), self.goes_on(going)
        self.thaw()
        check(found == (True, True), f"{mountpoint}: {found}")

    def end(self, pid: int) -> None:
        """Of a space; what it alone had mounted goes with it."""
        self.vm.run(f"kill -KILL {pid}")
        self.vm.wait_until(f"! test -e /proc/{pid}", 20, f"the end of {pid}")

    def wait_unplanned(self, *mountpoints: str) -> None:
        """A namespace is taken apart a moment after its last process."""
        deadline = time.monotonic() + 20
        while set(mountpoints) & set(self.plan()):
            check(time.monotonic() < deadline, f"{mountpoints} are still there")

    def tidy(self, *commands: str) -> None:
        self.vm.run("pkill -KILL -x stallwriter", check=False)
        self.vm.wait_until("! pgrep -x stallwriter", 20, "the end of the writers")
        self.vm.run("rm -f /run/w-*")
        for command in commands:
            self.vm.run(command)


def machine(tree) -> Reach:
    return Reach(tree, name=GROUP, more_disks=(200, 200))


def another_namespaces_filesystem_is_frozen(m: Reach) -> None:
    count = m.freezable()
    pid = m.space("other", "mkdir -p /run/only; mount /dev/vdf /run/only\n"
                           "mount --bind /run/only /srv/ext4")
    entry = m.plan()["/run/only"]
    check(entry["foreign-namespace"] and entry["action"] == "freeze", str(entry))
    m.writer("/run/only", "only", f"nsenter -t {pid} -m")
    m.writer("/srv/ext4", "own")
    m.frozen_then_thawed(count + 1, "only", "own")
    check(m.results()["/run/only"] == "frozen", str(m.results()))
    # By name: the agent's own namespace first, then the others.
    m.frozen_by_name("/run/only", "only", "own")
    m.frozen_by_name("/srv/ext4", "own", "only")
    m.configure("[filesystems]\nnamespaces=own\n")
    check("/run/only" not in m.plan())
    m.configure("")
    m.end(pid)
    m.tidy()
    m.wait_unplanned("/run/only")


def namespaces_without_a_way_in_are_entered(m: Reach) -> None:
    """One kept by a file alone, and one whose only process has a folder of it as its root."""
    count = m.freezable()
    kept, jail = m.loop("kept"), m.loop("jail")
    m.vm.run("mkdir -p /run/keep /run/jail/tmp; mount --bind /run/keep /run/keep && "
             "mount --make-private /run/keep && touch /run/keep/ns; "
             "cp /usr/lib/lab/stallwriter /run/jail")
    m.vm.run(f"unshare --mount=/run/keep/ns sh -ec 'mkdir -p /run/kept; mount {kept} /run/kept'")
    m.vm.spawn(f"exec unshare -m sh -ec 'mkdir -p /run/jailed; mount {jail} /run/jailed; "
               "exec chroot /run/jail /stallwriter /tmp 0 /result'")
    m.vm.wait_until("test -e /run/jail/result", 20, "the jail")
    m.frozen_then_thawed(count + 2)
    results = m.results()
    check(results["/run/kept"] == results["/run/jailed"] == "frozen", str(results))
    m.tidy("umount /run/keep/ns /run/keep; sleep 1",
           f"losetup -d {kept} {jail}; rm -rf /run/jail /run/kept")


def one_superblock_is_frozen_once(m: Reach) -> None:
    count = m.freezable()
    m.vm.run("mkdir -p /srv/bind /srv/sub /srv/ro-bind; mount --bind /srv/ext4 /srv/bind; "
             "btrfs subvolume create /srv/btrfs/sub >/dev/null; "
             "mount -o subvol=sub /dev/vde /srv/sub; mount --bind -o ro /srv/xfs /srv/ro-bind")
    check(not {"/srv/bind", "/srv/sub", "/srv/ro-bind"} & set(m.plan()))
    m.writer("/srv/sub", "sub")
    m.writer("/srv/xfs", "xfs")  # a bind mount that is read-only keeps nobody from writing
    m.frozen_then_thawed(count, "sub", "xfs")
    m.tidy(*map(unmount, ("/srv/sub", "/srv/bind", "/srv/ro-bind")))


def mounted_over_is_reached(m: Reach) -> None:
    count = m.freezable()
    over, deep, foreign = m.loop("over"), m.loop("deep"), m.loop("foreign")
    m.vm.run(f"mkdir -p /srv/over /srv/deep/in/it; mount {over} /srv/over; "
             f"mount {deep} /srv/deep/in/it")
    m.writer("/srv/over", "over")
    m.writer("/srv/deep/in/it", "deep")
    m.vm.run("mount -t tmpfs x /srv/over; mount -t tmpfs y /srv/over; mount -t tmpfs z /srv/deep")
    pid = m.space("covered", f"mkdir -p /run/covered; mount {foreign} /run/covered\n"
                             "mount -t tmpfs x /run/covered")
    before = m.table()
    m.frozen_then_thawed(count + 3, "over", "deep")
    results = m.results()
    check({results[p] for p in ("/srv/over", "/srv/deep/in/it", "/run/covered")} == {"frozen"},
          str(results))
    check(m.table() == before, "the freeze changed what is mounted")
    m.end(pid)
    m.tidy(*map(unmount, ("/srv/over", "/srv/over", "/srv/over", "/srv/deep", "/srv/deep/in/it")),
           f"sleep 1; losetup -d {over} {deep} {foreign}")


def make_array(m: Reach, devices: list[str]) -> None:
    """A RAID 1 array /dev/md127 without metadata, for which no mdadm is needed."""
    members = "".join(f"cat /sys/block/{name[5:]}/dev >new_dev; echo {slot} >dev-{name[5:]}/slot; "
                      for slot, name in enumerate(devices))
    m.vm.run("echo md127 >/sys/module/md_mod/parameters/new_array; cd /sys/block/md127/md; "
             f"echo none >metadata_version; echo raid1 >level; echo {len(devices)} >raid_disks; "
             f"{members} echo 60000 >component_size; echo none >resync_start; "
             "echo active >array_state; mkfs.ext4 -q /dev/md127")


def stack_with_the_carrier_mounted_last(m: Reach) -> None:
    """Loop files, dm and RAID on a carrier that stands behind them in the mount table. The loop
    devices were made in another namespace, so that their paths lead elsewhere here."""
    count = m.freezable()
    pid = m.space("carrier", "mkdir -p /run/c /srv/stack /srv/dm /srv/md /srv/zcarrier\n"
                             "mount /dev/vdg /run/c; cd /run/c\n"
                             "for i in 0 1 2 3; do truncate -s 64M $i; losetup -f --show /run/c/$i; "
                             "done >/run/loops; cd /")
    loops = m.vm.run("cat /run/loops").split()
    m.vm.run(f"mkfs.ext4 -q {loops[0]}; mount {loops[0]} /srv/stack; dmsetup create lab --table "
             f"\"0 $(blockdev --getsz {loops[1]}) linear {loops[1]} 0\"; "
             "mkfs.ext4 -q /dev/mapper/lab; mount /dev/mapper/lab /srv/dm")
    make_array(m, loops[2:])
    m.vm.run("mount /dev/md127 /srv/md; mount /dev/vdg /srv/zcarrier")
    table = m.table()
    check(table.index(" /srv/stack ") < table.index(" /srv/zcarrier "), table)
    plan = m.plan()
    ranks = {path: plan[path]["rank"] for path in ("/srv/stack", "/srv/dm", "/srv/md",
                                                   "/srv/zcarrier", "/srv/ext4", "/srv/xfs", "/")}
    check(ranks == {"/srv/stack": 0, "/srv/dm": 0, "/srv/md": 0, "/srv/zcarrier": 1,
                    "/srv/ext4": 0, "/srv/xfs": 0, "/": 2}, str(ranks))
    for path in ("/srv/stack", "/srv/dm", "/srv/md"):
        m.vm.run(f"dd if=/dev/zero of={path}/dirty bs=1M count=20 status=none")
    times = [time.monotonic()]
    frozen = m.freeze()
    times.append(time.monotonic())
    thawed = m.thaw()
    times.append(time.monotonic())
    check(frozen == thawed == count + 4, str(m.results()))
    print(f"# stack with 60 MiB dirty: freeze {times[1] - times[0]:.1f} s, "
          f"thaw {times[2] - times[1]:.2f} s")
    check(times[1] - times[0] < 15 and times[2] - times[1] < 3, str(times))
    m.tidy(*map(unmount, ("/srv/stack", "/srv/dm", "/srv/md")), "dmsetup remove --retry lab",
           f"echo clear >/sys/block/md127/md/array_state; losetup -d {' '.join(loops)}",
           unmount("/srv/zcarrier"))
    m.end(pid)
    m.wait_unplanned("/run/c", "/srv/zcarrier")


def read_only_and_swap(m: Reach) -> None:
    count = m.freezable()
    read_only, swap = m.loop("ro"), m.loop("swap")
    m.vm.run(f"mkdir -p /srv/ro /srv/swap; mount -o ro {read_only} /srv/ro; mount {swap} /srv/swap; "
             "dd if=/dev/zero of=/srv/swap/file bs=1M count=16 status=none; "
             "chmod 600 /srv/swap/file; mkswap -q /srv/swap/file; swapon /srv/swap/file")
    answer = m.host.call("guest-quiesce-plan")
    plan = {entry["mountpoint"]: entry for entry in answer["filesystems"]}
    check((plan["/srv/ro"]["action"], plan["/srv/ro"]["reason"]) == ("skip", "read-only"))
    check(plan["/srv/swap"]["rank"] == plan["/"]["rank"] > plan["/srv/xfs"]["rank"], str(plan))
    check([n["subject"] for n in answer["warnings"] if n["code"] == "swap-on-filesystem"] ==
          ["/srv/swap"], str(answer["warnings"]))
    m.frozen_then_thawed(count + 1)
    m.tidy("swapoff /srv/swap/file", unmount("/srv/ro"), unmount("/srv/swap"),
           f"losetup -d {read_only} {swap}")


def timed_plan(m: Reach) -> tuple[float, dict]:
    began = time.monotonic()
    plan = m.plan()
    return time.monotonic() - began, plan


def dead_servers_stall_nothing(m: Reach) -> None:
    count = m.freezable()
    for kind in ("nfs", "fuse"):
        m.vm.spawn(f"echo $$ >/run/{kind}.pid; exec python3 /usr/lib/lab/deadfs.py {kind} "
                   f"/mnt/{kind} >/run/{kind}.log 2>&1")
        m.vm.wait_until(f"grep -q mounted /run/{kind}.log", 20, kind)
    m.vm.run("kill -USR1 $(cat /run/nfs.pid)")
    m.vm.wait_until("grep -q dead /run/nfs.log", 20, "its death")
    for kind in ("nfs", "fuse"):
        code = m.vm.run(f"timeout -s KILL 2 stat /mnt/{kind}/x >/dev/null 2>&1; echo $?")
        check(int(code) == 137, f"{kind}: {code}")
    took, plan = min((timed_plan(m) for _ in range(3)), key=lambda pair: pair[0])
    print(f"# plan beside a dead NFS server and a dead FUSE program: {took:.2f} s")
    check(took < 2, f"{took}")  # emulated and shared
    check(plan["/mnt/nfs"]["reason"].startswith("network") and
          plan["/mnt/fuse"]["reason"].startswith("FUSE"), str(plan))
    m.frozen_then_thawed(count)
    m.tidy("umount -l /mnt/nfs /mnt/fuse; kill -KILL $(cat /run/nfs.pid /run/fuse.pid)")


def vanishing_mounts_do_not_fail_the_freeze(m: Reach) -> None:
    count = m.freezable()
    device = m.loop("gone")
    m.vm.run("mkdir -p /srv/gone")
    m.vm.spawn("touch /run/coming; while test -e /run/coming; do "
               f"mount {device} /srv/gone; umount /srv/gone; done")
    frozen, gone = 0, 0
    for _ in range(10):
        frozen += m.freeze() > count
        m.thaw()
        report = m.last_report()
        gone += any(f.get("reason") == "unmounted meanwhile" for f in report["filesystems"])
        check(report["level"] != "crash", str(report))
    print(f"# 10 freezes beside a mount that comes and goes: frozen {frozen}, gone {gone} times")
    m.tidy(f"rm /run/coming; sleep 1; ! mountpoint -q /srv/gone || {{ {unmount('/srv/gone')} }}",
           f"losetup -d {device}")


def figures(m: Reach, rounds: int = 5) -> tuple[float, float]:
    """A plan's time in seconds, and the time participants stand still: the best of the rounds, as
    other machines run beside this one."""
    plans, freezes = [], []
    for _ in range(rounds):
        plans.append(timed_plan(m)[0])
        m.freeze()
        m.thaw()
        freezes.append(m.last_report()["freeze-ms"] / 1000)
    return min(plans), min(freezes)


def ten_thousand_mounts_in_five_hundred_namespaces(m: Reach) -> None:
    plan_before, freeze_before = figures(m)
    m.vm.spawn(f"exec /usr/lib/lab/nsfarm {FARM[0]} {FARM[1]} >/run/farm.log 2>&1")
    m.vm.wait_until("grep -q ready /run/farm.log", 90, "the namespaces")
    mounts = int(m.vm.run("cat /proc/[0-9]*/mountinfo | wc -l"))
    plan, freeze = figures(m)
    print(f"# {FARM[0]} namespaces of {FARM[1]} mounts ({mounts} lines by process): plan {plan:.2f} s"
          f" (without {plan_before:.2f} s); freeze {freeze * 1000:.0f} ms"
          f" (without {freeze_before * 1000:.0f} ms, ratio {freeze / freeze_before:.2f})")
    check(plan < 4, f"{plan}")  # emulated and shared; a real machine takes a tenth
    check(freeze < 2 * freeze_before + 0.3, f"{freeze}")
    check(m.host.call("guest-quiesce-plan")["warnings"] == [])
    m.tidy("pkill -KILL nsfarm; sleep 1")


CASES = [another_namespaces_filesystem_is_frozen, namespaces_without_a_way_in_are_entered,
         one_superblock_is_frozen_once, mounted_over_is_reached,
         stack_with_the_carrier_mounted_last, read_only_and_swap, dead_servers_stall_nothing,
         vanishing_mounts_do_not_fail_the_freeze, ten_thousand_mounts_in_five_hundred_namespaces]
