"""KubeVirt: what makes a guest agent supported, what virt-launcher polls, and the freeze path.

virt-launcher speaks through libvirt; what it does with a reply is written down here from its source.
"""

import re
import time
import unittest

import tap
from hosts import REPLIES, Libvirt, furnish, misfit
from testbed import AgentError, Testbed, wait_for

BASIC = {"guest-ping", "guest-get-time", "guest-info", "guest-shutdown",
         "guest-network-get-interfaces", "guest-get-fsinfo", "guest-get-host-name",
         "guest-get-users", "guest-get-timezone", "guest-get-osinfo"}
SSH = {"guest-ssh-get-authorized-keys", "guest-ssh-add-authorized-keys",
       "guest-ssh-remove-authorized-keys"}
OLD_SSH = {"guest-exec-status", "guest-exec", "guest-file-open", "guest-file-close",
           "guest-file-read", "guest-file-write"}
PASSWORD = {"guest-set-user-password"}
# The first group is discarded whole when one of it fails.
SYSTEM = ("guest-get-osinfo", "guest-get-timezone", "guest-get-host-name",
          "guest-network-get-interfaces")
STATISTICS = ("guest-get-load", "guest-get-cpustats", "guest-get-diskstats", "guest-get-time",
              "guest-get-vcpus", "guest-get-memory-block-info", "guest-get-users",
              "guest-get-osinfo", "guest-get-disks", "guest-get-host-name", "guest-get-timezone",
              "guest-network-get-route", "guest-network-get-interfaces", "guest-get-memory-blocks")
STRIP = re.compile(r'{\s*"return":\s*([{\[][\s\S]*[}\]])\s*}')
STATUS = re.compile(r'{\s*"return":\s*"([\s\S]*)"\s*}')


class Launcher:
    """virt-launcher."""

    def __init__(self, bed: Testbed) -> None:
        self.libvirt = Libvirt(bed.socket)
        self.frozen_by_us = 0

    def raw(self, command: str) -> str:
        """The text of a reply; an error reply is an error of the call and no text."""
        if not self.libvirt.in_sync:
            self.libvirt.sync()
        self.libvirt.host.request(command)
        text = self.libvirt.host.line(5).decode()
        if '"error"' in text[:10]:
            raise AgentError({"class": "", "desc": text})
        return text

    def stripped(self, command: str) -> str:
        """FindStringSubmatch(reply)[1]: where nothing matches, virt-launcher panics."""
        return STRIP.fullmatch(self.raw(command))[1]  # type: ignore[index]

    def status(self) -> str:
        return STATUS.fullmatch(self.raw("guest-fsfreeze-status"))[1]  # type: ignore[index]

    def freeze(self) -> None:
        if self.status() != "frozen":
            self.libvirt.call("guest-fsfreeze-freeze")
            self.frozen_by_us += 1

    def unfreeze(self) -> bool:
        """Whether a thaw was sent."""
        if self.status() == "thawed":
            return False
        self.libvirt.call("guest-fsfreeze-thaw")
        return True

    def poll(self) -> dict:
        """One round of every worker; what the system group needs must all be there."""
        self.stripped("guest-info")
        self.stripped("guest-get-fsinfo")
        self.status()
        return {command: self.libvirt.call(command, timeout=5)
                for command in (*SYSTEM, "guest-get-users", "guest-get-load")}


class KubeVirt(unittest.TestCase):
    """With the host profile that DMI would select."""

    def setUp(self) -> None:
        self.bed = Testbed(profile="kubevirt")
        self.addCleanup(self.bed.__exit__)
        furnish(self.bed)

    def start(self, config: str = "") -> Launcher:
        with open(self.bed.root / "quiesced.conf", "a", encoding="ascii") as conf:
            conf.write(config)
        self.bed.start()
        launcher = Launcher(self.bed)
        self.addCleanup(launcher.libvirt.close)
        return launcher

    def disabled(self, launcher: Launcher) -> set[str]:
        """The commands that KubeVirt finds missing."""
        info = launcher.libvirt.call("guest-info")
        self.assertTrue(info["version"])  # virt-freezer does nothing without one
        enabled = {one["name"] for one in info["supported_commands"] if one["enabled"]}
        return (BASIC | SSH | OLD_SSH | PASSWORD) - enabled

    def test_the_profile_is_chosen_by_dmi(self) -> None:
        with Testbed(profile="auto") as bed:
            (bed.root / "dmi/sys_vendor").write_text("KubeVirt\n")
            (bed.root / "dmi/product_family").write_text("KubeVirt\n")
            bed.start()
            self.assertEqual(bed.host().call("guest-quiesce-status")["host-profile"], "kubevirt")

    def test_supported_in_every_state(self) -> None:
        """AgentVersionNotSupported comes from one reply; the stock agent fails it while frozen."""
        launcher = self.start("[quiesce]\nfrozen-limit=3000ms\n")
        for state in ("thawed", "frozen", "lost"):
            if state == "frozen":
                launcher.freeze()
            if state == "lost":
                wait_for(lambda: not self.bed.anything_frozen(), 20, "the limit", self.bed)
            self.assertEqual(self.disabled(launcher), set(), state)

    def test_polls_in_every_state(self) -> None:
        launcher = self.start("[quiesce]\nfrozen-limit=6s\n")
        launcher.poll()
        launcher.freeze()
        launcher.poll()
        self.assertTrue(self.bed.anything_frozen(), "polled too late")
        wait_for(lambda: not self.bed.anything_frozen(), 20, "the limit", self.bed)
        launcher.poll()
        self.assertEqual(launcher.libvirt.syncs, 1)

    def test_polls_while_a_freeze_is_being_prepared(self) -> None:
        """Those of a second channel; on the same one libvirt lets nothing through."""
        go = self.bed.root / "go"
        self.bed.hook("50-app", f'[ "$1" != prepare ] || until [ -e {go} ]; do sleep 0.05; done')
        launcher = self.start()
        freezer = self.bed.host()
        freezer.request("guest-fsfreeze-freeze")
        wait_for(lambda: self.bed.hook_log() == ["50-app prepare"], 5, "prepare", self.bed)
        self.assertEqual(launcher.raw("guest-ping"), '{"return": {}}')  # the readiness probe
        launcher.poll()
        go.touch()
        self.assertEqual(freezer.reply()["return"], 2)
        launcher.libvirt.call("guest-fsfreeze-thaw")

    def test_statistics_collector(self) -> None:
        launcher = self.start()
        for command in STATISTICS:
            launcher.libvirt.call(command, timeout=5)
        self.assertIsNone(misfit(launcher.libvirt.call("guest-get-load"),
                                 REPLIES["guest-get-load"]))

    def test_a_snapshot(self) -> None:
        launcher = self.start()
        launcher.freeze()
        launcher.freeze()  # the controller's retry finds it frozen
        self.assertEqual(launcher.frozen_by_us, 1)
        self.assertTrue(launcher.unfreeze())
        self.assertFalse(launcher.unfreeze())

    def test_a_freeze_longer_than_its_clients_wait(self) -> None:
        """virt-api waits 10 s, the status before a retry 5 s: the answer comes within 4, and a
        retry joins what went on meanwhile."""
        self.bed.hook("50-app", '[ "$1" != prepare ] || sleep 9', conf="Timeout=30")
        launcher = self.start()
        times = []  # of those refused; the best counts, one that is late may be this machine's
        while launcher.frozen_by_us == 0:
            began = time.monotonic()
            try:
                launcher.freeze()
            except AgentError as error:
                times.append(time.monotonic() - began)
                self.assertRegex(error.desc, r"prepare: still running after .* s, ask again$")
                self.assertEqual(launcher.status(), "thawed")
            self.assertLess(len(times), 6)
        self.assertGreater(len(times), 0)
        self.assertLess(min(times), 5)
        self.assertEqual(self.bed.hook_log().count("50-app prepare"), 1)
        self.assertTrue(launcher.unfreeze())

    def test_quiesce_timeout(self) -> None:
        """A freeze that did not last is learned from the thaw alone, and the snapshot marked."""
        launcher = self.start("[quiesce]\nfrozen-limit=3000ms\n")
        launcher.freeze()
        wait_for(lambda: not self.bed.anything_frozen(), 20, "the limit", self.bed)
        # The last one is thawed before the service knows.
        wait_for(lambda: launcher.libvirt.call("guest-quiesce-status")["state"] == "lost", 20,
                 "lost", self.bed)
        self.assertEqual(launcher.status(), "frozen")
        with self.assertRaisesRegex(AgentError, "fsfreeze is limited"):
            launcher.unfreeze()
        self.assertFalse(launcher.unfreeze())  # the controller tries again and is content

    def test_a_failed_freeze_leaves_nothing_and_says_who(self) -> None:
        """No unfreeze follows; the text becomes the FreezeError event and the snapshot's error."""
        self.bed.hook("50-app", '[ "$1" != freeze ] || { echo "disk full"; exit 1; }')
        launcher = self.start()
        for _ in range(2):  # requeued every five seconds
            with self.assertRaises(AgentError) as caught:
                launcher.freeze()
            self.assertEqual(caught.exception.desc, "quiesce failed: app: freeze: disk full")
            self.assertNotIn("Guest agent not available for now", caught.exception.desc)
        self.assertFalse(self.bed.anything_frozen())
        self.assertEqual(launcher.status(), "thawed")
        wait_for(lambda: self.bed.hook_log()[-1] == "50-app abort", 20, "abort", self.bed)

    def test_exec_probe(self) -> None:
        launcher = self.start()
        pid = launcher.libvirt.call("guest-exec", path="/bin/sh", arg=["-c", "echo ok; exit 1"],
                                    capture_output=True)["pid"]
        self.assertGreater(pid, 0)
        result = {"exited": False}
        deadline = time.monotonic() + 10
        while not result["exited"] and time.monotonic() < deadline:
            result = launcher.libvirt.call("guest-exec-status", pid=pid, timeout=5)
        self.assertEqual((result["exited"], result["exitcode"], result["out-data"]),
                         (True, 1, "b2sK"))

    def test_keys_by_files_where_there_is_none(self) -> None:
        """The text is looked for when authorized_keys is to be made."""
        launcher = self.start()
        with self.assertRaisesRegex(AgentError, "No such file or directory"):
            launcher.libvirt.call("guest-file-open", path=f"{self.bed.root}/authorized_keys",
                                  mode="r")


if __name__ == "__main__":
    tap.main()
