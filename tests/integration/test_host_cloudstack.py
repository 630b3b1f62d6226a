"""CloudStack: ten seconds for each command, and strings compared as they stand."""

import json
import time
import unittest

import tap
from hosts import Libvirt
from testbed import AgentError, Testbed, wait_for

SECONDS = 10  # qemuAgentCommand's time-out


class CloudStack(unittest.TestCase):
    """Freeze, status, snapshot, thaw, status; a freeze that fails fails the snapshot."""

    def setUp(self) -> None:
        self.bed = Testbed(profile="cloudstack")
        self.addCleanup(self.bed.__exit__)

    def start(self) -> Libvirt:
        self.bed.start()
        host = Libvirt(self.bed.socket)
        self.addCleanup(host.close)
        return host

    def status(self, host: Libvirt) -> str:
        """As the host takes it from the text of the reply."""
        host.host.request("guest-fsfreeze-status")
        return json.loads(host.host.line(SECONDS))["return"]

    def test_a_snapshot(self) -> None:
        host = self.start()
        self.assertGreater(host.call("guest-fsfreeze-freeze", timeout=SECONDS), 0)
        self.assertEqual(self.status(host), "frozen")
        self.assertEqual(host.call("guest-fsfreeze-thaw", timeout=SECONDS), 2)
        self.assertEqual(self.status(host), "thawed")

    def test_the_strings_on_the_wire(self) -> None:
        host = self.start()
        host.sync()
        host.host.request("guest-fsfreeze-status")
        self.assertEqual(host.host.line(), b'{"return": "thawed"}')
        host.call("guest-fsfreeze-freeze", timeout=SECONDS)
        host.host.request("guest-fsfreeze-status")
        self.assertEqual(host.host.line(), b'{"return": "frozen"}')
        host.host.request("guest-fsfreeze-thaw")
        self.assertEqual(host.host.line(), b'{"return": 2}')

    def test_a_slow_application_is_answered_within_its_time(self) -> None:
        self.bed.hook("50-slow", '[ "$1" != freeze ] || sleep 30')
        host = self.start()
        began = time.monotonic()
        with self.assertRaisesRegex(AgentError, "^quiesce failed: slow: "):
            host.call("guest-fsfreeze-freeze", timeout=SECONDS)
        self.assertLess(time.monotonic() - began, SECONDS)
        self.assertEqual(self.status(host), "thawed")
        wait_for(lambda: not self.bed.anything_frozen(), 3, "everything thawed", self.bed)

    def test_a_lost_freeze_fails_the_snapshot_at_its_thaw(self) -> None:
        with open(self.bed.root / "quiesced.conf", "a", encoding="ascii") as conf:
            conf.write("[quiesce]\nfrozen-limit=3000ms\n")
        host = self.start()
        host.call("guest-fsfreeze-freeze", timeout=SECONDS)
        wait_for(lambda: not self.bed.anything_frozen(), 20, "the limit", self.bed)
        # The last one is thawed before the service knows.
        wait_for(lambda: host.call("guest-quiesce-status")["state"] == "lost", 20, "lost", self.bed)
        self.assertEqual(self.status(host), "thawed")
        with self.assertRaisesRegex(AgentError, "fsfreeze is limited up to"):
            host.call("guest-fsfreeze-thaw", timeout=SECONDS)


if __name__ == "__main__":
    tap.main()
