"""What the cases of one machine share: data disks with a writer on each, the agent, hooks."""

import time
from pathlib import Path

from vmlab.host import AgentHost
from vmlab.machine import BOOT_SECONDS, Vm

MOUNTS = (("/srv/ext4", "mkfs.ext4 -q", "vdc"), ("/srv/xfs", "mkfs.xfs -q -f", "vdd"),
          ("/srv/btrfs", "mkfs.btrfs -q -f", "vde"))
FILESYSTEMS = len(MOUNTS) + 1  # and /
HOOKS = "/etc/quiesced/hooks.d"


def check(condition, text="") -> None:
    """An assertion that python -O keeps."""
    if not condition:
        raise AssertionError(text)


def check_settings(vm: Vm) -> None:
    """What a freeze changes for the time being is what the kernel begins with."""
    values = vm.run("cat /proc/sys/vm/dirty_expire_centisecs "
                    "/proc/sys/vm/dirty_writeback_centisecs /sys/kernel/rcu_expedited").split()
    check(values == ["3000", "500", "0"], f"expiry, period, grace periods: {values}")


def unmount(mountpoint: str) -> str:
    """What a freeze held open is closed a moment after its thaw was answered, by PID 1 as well."""
    return (f"n=0; until umount {mountpoint}; do n=$((n+1)); [ $n -gt 100 ] && exit 1; sleep 0.1; "
            "done; ")


class Machine:
    """A booted machine with the agent running; nothing is left frozen between cases.

    Each of `mounts` gets a data disk of its own. Subclasses say in begin() what runs in it.
    """

    host: AgentHost

    def __init__(self, tree: Path | None, name: str = "vm", mounts=MOUNTS,
                 more_disks: tuple[int, ...] = (), **options) -> None:
        self.mounts = mounts
        options.setdefault("disks", (*(400,) * len(mounts), *more_disks))
        self.vm = Vm(tree, name=name, **options)

    def __enter__(self) -> "Machine":
        try:
            self.vm.start()
            for mountpoint, mkfs, disk in self.mounts:
                module = mountpoint.rsplit("/", 1)[1]
                self.vm.run(f"modprobe {module} 2>/dev/null; {mkfs} /dev/{disk} && "
                            f"mkdir -p {mountpoint} && mount /dev/{disk} {mountpoint}", timeout=120)
            self.vm.run("udevadm settle; sync", timeout=BOOT_SECONDS)
            self.begin()
        except BaseException:
            self.vm.__exit__()
            raise
        return self

    def begin(self) -> None:
        """The units as installed; a freeze would be accepted."""
        self.vm.run("systemctl start quiesced-keeper.socket quiesced.service", timeout=BOOT_SECONDS)
        self.host = self.connected()
        self.host.wait_ready(BOOT_SECONDS)

    def connected(self) -> AgentHost:
        return AgentHost(self.vm.agent_path)

    def __exit__(self, *exception) -> None:
        self.vm.__exit__(*exception)

    def hook(self, name: str, body: str = ":", conf: str = "") -> None:
        """A hook that appends "NAME VERB" to /run/hook.log, then runs `body`."""
        self.vm.put(f"{HOOKS}/{name}", f'#!/bin/sh\necho "{name} $1" >>/run/hook.log\n{body}\n',
                    0o755)
        if conf:
            self.vm.put(f"{HOOKS}/{name}.conf", f"[Hook]\n{conf}\n")

    def hook_log(self) -> list[str]:
        """Once nobody is being released any more; the host's channel must be free."""
        deadline = time.monotonic() + 30
        while self.host.call("guest-quiesce-status")["waiting-for"]:
            check(time.monotonic() < deadline, "somebody is still being released")
            time.sleep(0.1)
        return self.vm.run("cat /run/hook.log 2>/dev/null || true").splitlines()

    def no_hooks(self) -> None:
        self.vm.run(f"rm -rf {HOOKS}/* /run/hook.log")

    def configure(self, text: str) -> None:
        self.vm.run("mkdir -p /etc/quiesced/quiesced.conf.d")
        self.vm.put("/etc/quiesced/quiesced.conf.d/test.conf", text)
        self.restart()

    def restart(self) -> None:
        self.vm.run("systemctl restart quiesced.service", timeout=60)
        self.host.wait_ready()

    def writers(self) -> "Writers":
        return Writers(self)

    def frozen(self, mountpoint: str) -> bool:
        """Whether a write there hangs now; a few seconds, as a shell may take one to start."""
        said = self.vm.run(f"sh -c 'echo x >{mountpoint}/probe' >/dev/null 2>&1 & n=0; "
                           "while kill -0 $! 2>/dev/null; do n=$((n+1)); "
                           "[ $n -gt 8 ] && echo frozen && exit; sleep 0.5; done", timeout=60)
        return said == "frozen\n"

    def last_report(self) -> dict:
        return self.host.call("guest-quiesce-report")["operations"][0]

    def after_failure(self) -> None:
        """Leaves the next case a thawed machine and shows what the agent said."""
        try:
            print("# " + self.vm.run("journalctl -b --no-pager -u quiesced -u quiesced-keeper "
                                     "-t quiesced | tail -n 25").replace("\n", "\n# "))
            self.host.buffer = b""
            self.host.sync()
            self.host.call("guest-quiesce-thaw")
            self.no_hooks()
        except Exception as error:
            print(f"# cleaning up: {error}")


class Writers:
    """A constant writer on every data disk; counters on tmpfs."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.vm = machine.vm

    def __enter__(self) -> "Writers":
        for mountpoint, _, _ in self.machine.mounts:
            name = mountpoint.rsplit("/", 1)[1]
            self.vm.spawn(f"exec /usr/lib/lab/stallwriter {mountpoint} 0 /run/writer-{name}")
        deadline = time.monotonic() + 20
        while len(now := self.counters()) < len(self.machine.mounts) or \
                not all(value[0] for value in now.values()):
            check(time.monotonic() < deadline, f"a writer does not write: {now}")
            time.sleep(0.5)
        time.sleep(1)
        return self

    def counters(self) -> dict[str, tuple[int, int]]:
        """Writes completed and the longest one in microseconds, by filesystem type."""
        # Quoted: a pattern that meant nothing yet must not mean files that come a moment later.
        out = self.vm.run("for f in /run/writer-*; do "
                          "echo \"$f\" $(od -v -An -td8 -N32 \"$f\"); done")
        result = {}
        for line in out.splitlines():
            fields = line.split()
            if len(fields) < 3:
                continue  # created, and not yet written to
            result[fields[0].rsplit("-", 1)[1]] = (int(fields[1]), int(fields[2]))
        return result

    def go_on(self, seconds: float = 1, but: str = "") -> dict[str, tuple[int, int]]:
        """Every one of them, but that one, writes within that time, or at most five times as long
        on a busy machine; the counters at its end."""
        first = self.counters()
        deadline = time.monotonic() + 5 * seconds
        while True:
            time.sleep(seconds)
            second = self.counters()
            if all(second[name][0] > first[name][0] for name in first if name != but):
                return second
            check(time.monotonic() < deadline, f"{first} {second}")

    def __exit__(self, *_exception) -> None:
        self.vm.run("pkill -KILL stallwriter; rm -f /run/writer-*", check=False)


__all__ = ["FILESYSTEMS", "HOOKS", "MOUNTS", "Machine", "check", "check_settings", "unmount"]
