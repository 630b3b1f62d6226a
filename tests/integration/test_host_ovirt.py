"""oVirt: vdsm polls with one second for each command, and thaws after a failed freeze, too."""

import time
import unittest

import tap
import testbed
from hosts import Libvirt, furnish
from testbed import AgentError, Testbed, wait_for

SECONDS = 1.0  # qga_command_timeout; one failure and the machine is not asked for a minute
POLLS = ("guest-info", "guest-get-host-name", "guest-get-osinfo", "guest-get-timezone",
         "guest-network-get-interfaces", "guest-get-users", "guest-get-fsinfo", "guest-get-disks",
         "guest-get-vcpus")


class OVirt(unittest.TestCase):
    """The poller in every state, and the snapshot."""

    def setUp(self) -> None:
        self.bed = Testbed()
        self.addCleanup(self.bed.__exit__)
        furnish(self.bed)

    def start(self) -> Libvirt:
        self.bed.start()
        host = Libvirt(self.bed.socket)
        self.addCleanup(host.close)
        return host

    def poll(self, host: Libvirt) -> dict:
        """Three rounds; only what guest-info lists as enabled is asked, as vdsm does.

        The best time of each command counts: one that is late may be this machine's.
        """
        times: dict[str, list[float]] = {command: [] for command in POLLS}
        found = {}
        for _ in range(3):
            info = host.call("guest-info", timeout=10)
            enabled = {one["name"] for one in info["supported_commands"] if one["enabled"]}
            self.assertLessEqual(set(POLLS), enabled)
            self.assertNotIn("guest-get-devices", enabled)  # Windows only
            for command in POLLS:
                began = time.monotonic()
                found[command] = host.call(command, timeout=10)
                times[command].append(time.monotonic() - began)
        for command, took in times.items():
            self.assertLess(min(took), SECONDS * testbed.SPEED, command)
        return found

    def test_polls(self) -> None:
        host = self.start()
        found = self.poll(host)
        self.assertEqual(host.syncs, 1)
        self.assertEqual(found["guest-get-timezone"]["offset"] % 60, 0)
        self.assertTrue(all(cpu["logical-id"] >= 0 for cpu in found["guest-get-vcpus"]))

    def test_polls_while_frozen(self) -> None:
        """The stock agent refuses six of them, and the machine is not asked for a minute."""
        host = self.start()
        host.call("guest-fsfreeze-freeze")
        self.poll(host)
        self.assertEqual(host.syncs, 1)
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 2)

    def test_a_failed_freeze_is_thawed_too(self) -> None:
        self.bed.inject("b", "freeze EIO")
        host = self.start()
        with self.assertRaises(AgentError):
            host.call("guest-fsfreeze-freeze")
        wait_for(lambda: not self.bed.anything_frozen(), 20, "the rollback", self.bed)
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 0)

    def test_a_freeze_that_hangs_does_not_last(self) -> None:
        """vdsm looks at its eight minutes only after the call has returned."""
        self.bed.hook("50-slow", '[ "$1" != freeze ] || sleep 60', conf="Timeout=1")
        host = self.start()
        began = time.monotonic()
        with self.assertRaisesRegex(AgentError, "slow: freeze: timed out"):
            host.call("guest-fsfreeze-freeze")
        self.assertLess(time.monotonic() - began, 10)
        wait_for(lambda: not self.bed.anything_frozen(), 3, "everything thawed", self.bed)


if __name__ == "__main__":
    tap.main()
