"""Proxmox VE: a connection for every command, the reply regex, the status after a lost reply."""

import time
import unittest

import tap
from hosts import Proxmox, furnish
from testbed import AgentError, Testbed, wait_for

# All other commands of its API with the 5 s that it gives them.
LOOKS = ("guest-ping", "guest-get-time", "guest-info", "guest-fsfreeze-status",
         "guest-network-get-interfaces", "guest-get-vcpus", "guest-get-fsinfo",
         "guest-get-memory-blocks", "guest-get-memory-block-info", "guest-get-host-name",
         "guest-get-osinfo", "guest-get-users", "guest-get-timezone")


class ProxmoxHost(unittest.TestCase):
    """The backup's conversation and the buttons of the user interface."""

    def setUp(self) -> None:
        self.bed = Testbed()
        self.addCleanup(self.bed.__exit__)
        furnish(self.bed)

    def start(self) -> Proxmox:
        self.bed.start()
        return Proxmox(self.bed.socket)

    def freeze(self, pve: Proxmox) -> bool:
        """Whether the backup finds the machine frozen; a failure is logged, never the end."""
        pve.call("guest-ping", timeout=3)
        if pve.call("guest-fsfreeze-status") == "frozen":
            return False
        pve.call("guest-fsfreeze-freeze", timeout=600)
        return True

    def test_backup(self) -> None:
        pve = self.start()
        self.assertTrue(self.freeze(pve))
        self.assertTrue(self.bed.anything_frozen())
        self.assertFalse(self.freeze(pve))  # a second one is skipped: already frozen
        self.assertEqual(pve.call("guest-fsfreeze-thaw", timeout=180), 2)
        self.assertFalse(self.bed.anything_frozen())

    def test_what_the_user_interface_asks(self) -> None:
        pve = self.start()
        for command in LOOKS:
            began = time.monotonic()
            pve.call(command)
            self.assertLess(time.monotonic() - began, 5, command)

    def test_an_error_is_taken_as_one_too(self) -> None:
        pve = self.start()
        with self.assertRaisesRegex(AgentError, "handle '7' has not been found"):
            pve.call("guest-file-close", handle=7)
        with self.assertRaisesRegex(AgentError, "Parameter 'id' is missing"):
            pve.call("guest-sync")

    def test_thaw_is_always_tried(self) -> None:
        self.bed.hook("50-app", '[ "$1" != freeze ] || { echo "no room"; exit 1; }')
        pve = self.start()
        with self.assertRaisesRegex(AgentError, "quiesce failed: app: freeze: no room"):
            self.freeze(pve)
        self.assertFalse(self.bed.anything_frozen())
        self.assertEqual(pve.call("guest-fsfreeze-thaw", timeout=180), 0)

    def test_status_after_a_lost_reply(self) -> None:
        """The helper lost the freeze's answer and asks until it hears `frozen`."""
        self.bed.hook("50-app", '[ "$1" != prepare ] || sleep 1')
        pve = self.start()
        lost = pve.send("guest-fsfreeze-freeze", {})
        self.assertTrue(lost.line().startswith(b"\xff"))
        lost.close()
        wait_for(lambda: pve.call("guest-fsfreeze-status") == "frozen", 10, "frozen", self.bed)
        self.assertEqual(pve.call("guest-fsfreeze-thaw", timeout=180), 2)

    def test_a_freeze_that_ended_by_itself_is_logged(self) -> None:
        with open(self.bed.root / "quiesced.conf", "a", encoding="ascii") as conf:
            conf.write("[quiesce]\nfrozen-limit=3000ms\n")
        pve = self.start()
        self.assertTrue(self.freeze(pve))
        wait_for(lambda: not self.bed.anything_frozen(), 20, "the limit", self.bed)
        # The last one is thawed before the service knows.
        wait_for(lambda: pve.call("guest-quiesce-status")["state"] == "lost", 20, "lost", self.bed)
        self.assertEqual(pve.call("guest-fsfreeze-status"), "thawed")
        with self.assertRaisesRegex(AgentError, "fsfreeze is limited up to"):
            pve.call("guest-fsfreeze-thaw", timeout=180)
        self.assertEqual(pve.call("guest-fsfreeze-thaw", timeout=180), 0)

    def test_a_hundred_connections_leave_nothing(self) -> None:
        pve = self.start()
        for _ in range(100):
            host = pve.send("guest-ping", {})
            host.line()
            host.close()  # gone before the second answer
        self.assertEqual(pve.call("guest-ping"), {})

    def test_a_file_through_the_api(self) -> None:
        """file-write is open with mode wb, write, close; file-read in pieces of 1 MiB."""
        pve = self.start()
        path = str(self.bed.root / "file")
        handle = pve.call("guest-file-open", path=path, mode="wb")
        pve.call("guest-file-write", handle=handle, buf_b64="aGVsbG8=")
        pve.call("guest-file-close", handle=handle)
        handle = pve.call("guest-file-open", path=path, mode="rb")
        piece = pve.call("guest-file-read", handle=handle, count=1 << 20)
        self.assertEqual(piece, {"count": 5, "buf-b64": "aGVsbG8=", "eof": True})
        pve.call("guest-file-close", handle=handle)

    def test_exec_through_the_api(self) -> None:
        pve = self.start()
        pid = pve.call("guest-exec", path="/bin/sh", arg=["-c", "cat; exit 3"],
                       input_data="aW4=", capture_output=True)["pid"]
        wait_for(lambda: self.ended(pve, pid), 10, "the child", self.bed)
        self.assertEqual((self.status["exitcode"], self.status["out-data"]), (3, "aW4="))

    def ended(self, pve: Proxmox, pid: int) -> bool:
        self.status = pve.call("guest-exec-status", pid=pid)
        return self.status["exited"]


if __name__ == "__main__":
    tap.main()
