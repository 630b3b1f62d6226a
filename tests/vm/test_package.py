"""The DEB packages in the life of a machine: over the stock agent, upgraded while frozen, removed.

The cases build on each other. The previous version is the same packages with a lower number.
"""

import shutil
import subprocess
import tarfile
import time
from pathlib import Path

from context import Machine, check
from markdown import blocks
from vmlab.machine import BOOT_SECONDS, GuestError

GROUP = "package"
TOP = Path(__file__).resolve().parent.parent.parent
NAMES = ("quiesced", "quiesced-hooks", "quiesced-qemu-ga")
OLD, NEW, STOCK = "/var/tmp/old", "/var/tmp/new", "/var/tmp/stock"
DATA = "/srv/ext4"
# What an image builder's chroot looks like: the same files, and no systemd that runs.
CHROOT = "unshare --mount sh -ec 'mount -t tmpfs none /run; {}'"
PAST_SETTLING = 60  # renew.h waits 10 s after the thaw; a machine under emulation takes longer


def debs(tree: Path) -> Path:
    """The packages that ./run made of this tree; a test that runs alone makes them."""
    packages = tree.parent / "packages"
    tarball = max(tree.parent.glob("quiesced-*.tar.xz"), default=None)
    if not list(packages.glob("quiesced_*.deb")):
        check(tarball, "no tarball: ./run package makes it")
        subprocess.run([TOP / "packaging/build.sh", "deb", tarball, packages], check=True)
    return packages


def with_lower_version(deb: Path, target: Path, work: Path) -> None:
    """The same package, of the version before."""
    shutil.rmtree(work, ignore_errors=True)
    subprocess.run(["dpkg-deb", "-R", deb, work], check=True)
    control = work / "DEBIAN/control"
    lines = control.read_text().splitlines()
    control.write_text("\n".join("Version: 0.0.9-1" if line.startswith("Version:") else
                                 line.replace("quiesced (>= 0.1-1)", "quiesced (>= 0.0.9-1)")
                                 for line in lines) + "\n")
    subprocess.run(["dpkg-deb", "-b", "--root-owner-group", "-Znone", work, target], check=True,
                   stdout=subprocess.DEVNULL)


class PackageMachine(Machine):
    """A stock image; the packages come on a disk of their own."""

    def __init__(self, tree: Path) -> None:
        super().__init__(None, name=GROUP, mounts=(("/srv/ext4", "mkfs.ext4 -q", "vdc"),),
                         more_disks=(16,))
        made = debs(tree)
        work = self.vm.work / "debs"
        for folder in ("old", "new", "stock"):
            (work / folder).mkdir(parents=True)
        for name in NAMES:
            deb = max(made.glob(f"{name}_*.deb"))
            shutil.copy(deb, work / "new" / f"{name}.deb")
            with_lower_version(deb, work / "old" / f"{name}.deb", self.vm.work / "repack")
        subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download",
                        "qemu-guest-agent"], cwd=work / "stock",
                       check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(self.vm.disks[1], "w") as tar:
            tar.add(work, "var/tmp")

    def begin(self) -> None:
        self.vm.run("tar -x -f /dev/vdd -C / && mkdir -p /var/lib/apt/lists/partial "
                    "/var/cache/apt/archives/partial && systemctl unmask qemu-guest-agent && "
                    "systemctl start qemu-guest-agent")
        self.host = self.connected()

    def after_reboot(self) -> None:
        self.vm.run(f"mount /dev/vdc {DATA}")
        self.host = self.connected()

    def install(self, what: str) -> str:
        return self.vm.run("DEBIAN_FRONTEND=noninteractive apt-get -o Debug::NoLocking=1 -y "
                           f"--no-install-recommends install {what} 2>&1", timeout=400)

    def agent(self) -> str:
        return self.host.call("guest-info")["version"]

    def pid(self, unit: str = "quiesced.service") -> str:
        return self.vm.run(f"systemctl show --value -p MainPID {unit}").strip()


def machine(tree) -> PackageMachine:
    return PackageMachine(tree)


def the_stock_agent_is_there_first(m: PackageMachine) -> None:
    m.vm.put("/etc/qemu/qemu-ga.conf", "[general]\nblock-rpcs=guest-quiesce-plan\n")
    m.vm.put("/etc/qemu/fsfreeze-hook.d/app", '#!/bin/sh\necho "app $1" >>/run/hook.log\n', 0o755)
    m.host.sync()
    check("quiesced" not in m.agent(), m.agent())


def readme_command() -> str:
    """How README.md installs the packages that it made; somebody says yes to apt."""
    line = next(line for block in blocks("README.md", "Install") for line in block.splitlines()
                if line.startswith("sudo apt install "))
    return line.replace("sudo apt install", "apt-get -o Debug::NoLocking=1 -y install")


def installed_over_it_takes_its_place(m: PackageMachine) -> None:
    m.vm.run(f"mkdir -p /root/checkout/build && ln -s {OLD} /root/checkout/build/packages")
    m.vm.run(f"cd /root/checkout && DEBIAN_FRONTEND=noninteractive {readme_command()} 2>&1",
             timeout=400)
    check(not m.vm.succeeds("dpkg-query -W -f '${Status}' qemu-guest-agent | grep -w installed"))
    m.host.buffer = b""
    m.host.sync()
    check("quiesced" in m.agent(), m.agent())
    blocked = [c for c in m.host.call("guest-info")["supported_commands"]
               if c["name"] == "guest-quiesce-plan"]
    check(not blocked[0]["enabled"], "qemu-ga.conf was not taken over")
    m.vm.run("qemu-ga --version && systemctl enable qemu-guest-agent")
    # What the packages asked it to do: begin again under its new name, within a moment.
    m.vm.wait_until("systemctl is-active qemu-guest-agent", 20, "the unit by its old name")
    for unit in ("quiesced.service", "quiesced-keeper.socket"):
        m.vm.run(f"systemctl is-enabled {unit}")


def freezes_after_a_reboot(m: PackageMachine) -> None:
    m.vm.reboot()
    m.after_reboot()
    m.host.wait_ready(BOOT_SECONDS)
    check("quiesced" in m.agent(), m.agent())
    check(m.host.call("guest-fsfreeze-freeze") == 2)
    check(m.host.call("guest-fsfreeze-thaw") == 2)


def after_a_reboot_it_freezes_with_the_old_hook(m: PackageMachine) -> None:
    freezes_after_a_reboot(m)
    check(m.hook_log() == ["app freeze", "app thaw"], str(m.hook_log()))


def upgraded_while_frozen_it_stays_frozen(m: PackageMachine) -> None:
    before, keeper = m.pid(), m.pid("quiesced-keeper.service")
    check(m.host.call("guest-fsfreeze-freeze-list", {"mountpoints": [DATA]}) == 1)
    m.vm.run(f"dpkg -i {NEW}/*.deb 2>&1", timeout=400)
    check(m.frozen(DATA), "the upgrade thawed it")
    check(m.pid() == before and m.pid("quiesced-keeper.service") == keeper, "it was restarted")
    m.vm.run(f"readlink /proc/{before}/exe | grep deleted")
    check(m.host.call("guest-fsfreeze-status") == "frozen")
    m.vm.qmp.execute("query-status")
    m.vm.qmp.events.clear()
    # Not the verdict that a freeze which ended early would have left.
    check(m.host.call("guest-fsfreeze-thaw") == 1)
    deadline = time.monotonic() + PAST_SETTLING
    pings = 0
    while m.pid() in (before, "0"):  # 0: between the two programs
        check(time.monotonic() < deadline, "the new program was not started after the thaw")
        check(m.host.call("guest-ping") == {})
        pings += 1
    check(m.host.call("guest-ping") == {})
    m.vm.qmp.execute("query-status")
    check(not [e for e in m.vm.qmp.events if e["event"] == "VSERPORT_CHANGE"],
          "the host saw the agent leave")
    print(f"# {pings} pings across the change of programs, all answered")
    m.vm.wait_until("p=$(systemctl show --value -p MainPID quiesced-keeper); "
                    f"test $p != 0 && test $p != {keeper} && readlink /proc/$p/exe | grep -q keeper",
                    20, "the new keeper")
    for unit in ("quiesced.service", "quiesced-keeper.service"):
        check("deleted" not in m.vm.run(f"readlink /proc/{m.pid(unit)}/exe"), unit)
    m.host.wait_ready()
    check(m.host.call("guest-fsfreeze-freeze") == 2)
    check(m.host.call("guest-fsfreeze-thaw") == 2)


def the_old_name_of_the_unit_does_the_same(m: PackageMachine) -> None:
    before = m.pid()
    m.vm.run("systemctl restart qemu-guest-agent")
    check(m.pid() not in (before, "0"))
    m.vm.run("systemctl stop qemu-guest-agent")
    check(not m.vm.succeeds("systemctl is-active quiesced"))
    m.vm.run("systemctl start qemu-guest-agent && systemctl is-active quiesced")


def the_stock_agent_comes_back(m: PackageMachine) -> None:
    m.install(f"{STOCK}/*.deb")
    m.host.buffer = b""
    m.host.sync()
    check("quiesced" not in m.agent(), m.agent())
    check(not m.vm.succeeds("pgrep quiesced"))
    m.vm.run(f"dpkg --purge {' '.join(NAMES)}", timeout=200)
    deadline = time.monotonic() + 20  # PID 1 removes the state of a unit a moment after its end
    while left := m.vm.run("find /etc /usr /var /run -iname '*quiesced*' ! -path '/var/tmp/*' "
                           "! -path '/run/udev/*' | sort"):
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    check(left == "", f"purge left\n{left}")


def installed_in_a_chroot_it_comes_up_at_the_next_boot(m: PackageMachine) -> None:
    m.vm.run(CHROOT.format(f"dpkg -i {NEW}/quiesced.deb") + " 2>&1", timeout=200)
    check(not m.vm.succeeds("pgrep quiesced"))
    freezes_after_a_reboot(m)


def removed_while_frozen_it_thaws(m: PackageMachine) -> None:
    check(m.host.call("guest-fsfreeze-freeze-list", {"mountpoints": [DATA]}) == 1)
    m.vm.run("dpkg --purge quiesced", timeout=200)
    check(not m.frozen(DATA), "left frozen by the removal")
    try:
        m.vm.run("test ! -e /run/quiesced && test ! -e /etc/quiesced")
    except GuestError as error:
        raise AssertionError("purge left its folders") from error


CASES = [the_stock_agent_is_there_first, installed_over_it_takes_its_place,
         after_a_reboot_it_freezes_with_the_old_hook, upgraded_while_frozen_it_stays_frozen,
         the_old_name_of_the_unit_does_the_same, the_stock_agent_comes_back,
         installed_in_a_chroot_it_comes_up_at_the_next_boot, removed_while_frozen_it_thaws]
