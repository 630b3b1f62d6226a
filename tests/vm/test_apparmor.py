"""What works under packaging/apparmor, enforced by the machine's kernel, and that it denies nothing."""

import base64
import subprocess
from pathlib import Path

import test_faults
import test_reach
from context import FILESYSTEMS, HOOKS, check

GROUP = "apparmor"
PROFILE = Path(__file__).resolve().parents[2] / "packaging/apparmor/usr.sbin.quiesced"
LOAD = "/sys/kernel/security/apparmor/.replace"
UNITS = "quiesced-keeper.socket quiesced.service"


class Enforced(test_reach.Reach):
    """The units start anew once the profile is loaded; the machine itself has no parser for it."""

    def begin(self) -> None:
        profile = subprocess.run(["apparmor_parser", "-Q", "-K", "-S", str(PROFILE)], check=True,
                                 capture_output=True).stdout
        self.vm.put("/run/profile.b64", base64.b64encode(profile).decode())
        # In one write, as the kernel takes it.
        self.vm.run(f"base64 -d /run/profile.b64 >/run/profile && cat /run/profile >{LOAD} && "
                    "systemctl stop quiesced quiesced-keeper.service && "
                    f"systemctl start {UNITS}", timeout=60)
        super().begin()

    def profile_of(self, name: str) -> str:
        return self.vm.run(f"cat /proc/$(pgrep -x {name})/attr/current").strip()


def machine(tree) -> Enforced:
    return Enforced(tree, name=GROUP, more_disks=(200, 200))


def both_are_confined_and_hooks_are_not(m: Enforced) -> None:
    m.no_hooks()
    m.hook("10-app", "cat /proc/self/attr/current >/run/profile-of-hook")
    check(m.host.call("guest-fsfreeze-freeze") == FILESYSTEMS)
    check(m.host.call("guest-fsfreeze-thaw") == FILESYSTEMS)
    for name in ("quiesced", "quiesced-keeper"):
        check(m.profile_of(name) == f"{name} (enforce)", m.profile_of(name))
    check(m.vm.run("cat /run/profile-of-hook").strip() == "unconfined")
    m.vm.run(f"rm -f {HOOKS}/10-app*")


def a_host_acts(m: Enforced) -> None:
    """A command, a file, the time, the plan, each by the commands that need the most."""
    m.host.call("guest-exec", {"path": "/bin/true"})
    handle = m.host.call("guest-file-open", {"path": "/root/file", "mode": "w"})
    m.host.call("guest-file-write", {"handle": handle, "buf-b64": "aGk="})
    m.host.call("guest-file-close", {"handle": handle})
    check(m.vm.run("cat /root/file") == "hi")
    m.host.call("guest-get-fsinfo")
    m.host.call("guest-get-disks")
    m.host.call("guest-network-get-interfaces")
    check(m.host.call("guest-quiesce-plan")["filesystems"] != [])


def nothing_was_denied(m: Enforced) -> None:
    denied = m.vm.run("journalctl -b --no-pager | grep 'apparmor=\"DENIED\"' || true")
    check(denied == "", denied)


CASES = [both_are_confined_and_hooks_are_not, test_faults.keeper_killed_while_frozen,
         test_reach.namespaces_without_a_way_in_are_entered, test_reach.mounted_over_is_reached,
         a_host_acts, nothing_was_denied]
