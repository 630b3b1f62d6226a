"""libvirt: the situations of its own test of the agent protocol, and some more, without libvirt.

Those that need a machine (shutdown, suspend, processors, trim, keys) are in tests/vm/test_libvirt.py.
"""

import json
import threading
import time
import unittest

import tap
from hosts import GROUPS, Libvirt, furnish
from testbed import AgentError, Testbed, wait_for

SEVEN = ("a", "b", "c", "d", "e", "f", "g")


class LibvirtHost(unittest.TestCase):
    """One connection, as a domain has."""

    def setUp(self) -> None:
        self.bed = Testbed(filesystems=SEVEN)
        self.addCleanup(self.bed.__exit__)
        furnish(self.bed)

    def start(self, config: str = "") -> Libvirt:
        with open(self.bed.root / "quiesced.conf", "a", encoding="ascii") as conf:
            conf.write(config)
        self.bed.start()
        host = Libvirt(self.bed.socket)
        self.addCleanup(host.close)
        return host

    # --- its sixteen ---------------------------------------------------------------------------

    def test_fsfreeze(self) -> None:
        host = self.start()
        five = [str(self.bed.directory(name)) for name in SEVEN[:5]]
        self.assertEqual(host.call("guest-fsfreeze-freeze-list", mountpoints=five), 5)
        self.assertFalse(self.bed.frozen("f"))
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 5)
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 7)
        self.assertEqual(host.syncs, 1)

    def test_fsthaw(self) -> None:
        host = self.start()
        host.call("guest-fsfreeze-freeze")
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 7)
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 0)

    def test_fsinfo_and_its_refusal(self) -> None:
        host = self.start()
        host.call("guest-get-fsinfo")
        host.close()
        self.bed.stop()
        host = self.start("[rpc]\nblock=guest-get-fsinfo\n")
        with self.assertRaises(AgentError) as caught:
            host.call("guest-get-fsinfo")
        self.assertEqual(caught.exception.kind, "CommandNotFound")
        # Skipped by guestinfo, not the end of it.
        self.assertEqual(set(GROUPS) - host.guest_info().keys(), {"guest-get-fsinfo"})

    def test_arbitrary_command(self) -> None:
        host = self.start()
        with self.assertRaisesRegex(AgentError, "^The command ble has not been found$"):
            host.call("ble")

    def test_every_group_of_guestinfo(self) -> None:
        """Interfaces, users, osinfo, timezone, hostname, filesystems, disks, load: each of shape."""
        host = self.start()
        self.assertEqual(host.guest_info().keys(), set(GROUPS))
        host.call("guest-get-vcpus")
        host.call("guest-get-time")

    def test_guestinfo_while_frozen(self) -> None:
        host = self.start()
        host.call("guest-fsfreeze-freeze")
        self.assertEqual(host.guest_info().keys(), set(GROUPS))
        host.call("guest-fsfreeze-thaw")

    def test_an_error_wakes_who_waits_for_an_event(self) -> None:
        """Shutdown and suspend have no reply on success; a refusal must have one."""
        host = self.start("[rpc]\nblock=guest-shutdown,guest-suspend-ram,guest-suspend-disk,"
                          "guest-suspend-hybrid\n")
        for command in ("guest-shutdown", "guest-suspend-ram", "guest-suspend-disk",
                        "guest-suspend-hybrid"):
            with self.assertRaises(AgentError) as caught:
                host.call(command, timeout=5)
            self.assertEqual(caught.exception.kind, "CommandNotFound")

    def test_time_out_of_a_command(self) -> None:
        """The late reply of a command that was given up is no answer to the next one."""
        self.bed.hook("50-slow", '[ "$1" != prepare ] || sleep 2')
        host = self.start()
        with self.assertRaises(TimeoutError):
            host.call("guest-fsfreeze-freeze", timeout=1)
        self.assertFalse(host.in_sync)
        self.assertIn(host.call("guest-fsfreeze-status"), ("thawed", "frozen"))
        self.assertEqual(host.syncs, 2)
        host.call("guest-fsfreeze-thaw")
        self.assertEqual(host.call("guest-fsfreeze-status"), "thawed")

    # --- ours ----------------------------------------------------------------------------------

    def test_garbage_before_a_sync(self) -> None:
        host = self.start()
        host.host.send(b"\x00\xfe noise }}\n")
        host.sync()
        host.host.buffer = b""
        self.assertEqual(host.call("guest-ping"), {})

    def test_half_a_request_before_a_sync(self) -> None:
        """libvirt sends no reset byte; the sync after the silence brings it back."""
        host = self.start()
        host.host.send(b'{"execute":"guest-fsfreeze-fr')
        host.host.reply(10)  # dropped after 5 s
        host.sync()
        self.assertEqual(host.call("guest-ping"), {})

    def test_reset_bytes(self) -> None:
        host = self.start()
        host.host.send(b"\xff\xff")
        host.sync()
        self.assertEqual(host.call("guest-ping"), {})
        self.assertEqual(host.host.buffer, b"")

    def test_nothing_is_said_unasked(self) -> None:
        """Through a whole freeze and its loss."""
        host = self.start("[quiesce]\nfrozen-limit=2000ms\n")
        other = Libvirt(self.bed.socket)
        other.sync()
        host.call("guest-fsfreeze-freeze")
        self.assertTrue(other.host.quiet(3))
        self.assertTrue(host.host.quiet(0.2))
        other.close()

    def test_two_syncs_back_to_back(self) -> None:
        host = self.start()
        host.host.send(b"".join(json.dumps({"execute": "guest-sync", "arguments": {"id": number}})
                                .encode() + b"\n" for number in (11, 12)))
        self.assertEqual([host.host.reply()["return"] for _ in range(2)], [11, 12])

    def test_the_largest_id(self) -> None:
        host = self.start()
        host.number = (1 << 63) - 2
        host.sync()

    def test_a_sync_during_a_freeze_comes_after_it(self) -> None:
        self.bed.hook("50-slow", '[ "$1" != prepare ] || sleep 1')
        host = self.start()
        host.sync()
        host.host.request("guest-fsfreeze-freeze")
        wait_for(lambda: bool(self.bed.hook_log()), 5, "prepare", self.bed)
        began = time.monotonic()
        host.host.request("guest-sync", id=5)
        first, second = host.host.reply(), host.host.reply()
        self.assertTrue("error" in first or "return" in first)
        self.assertEqual(second, {"return": 5})
        self.assertLess(time.monotonic() - began, Libvirt.SYNC_SECONDS)

    def test_the_port_closed_in_the_middle_of_a_freeze(self) -> None:
        """libvirtd was restarted: the freeze goes on, and who comes back can thaw it."""
        self.bed.hook("50-slow", '[ "$1" != prepare ] || sleep 1')
        host = self.start()
        host.sync()
        host.host.request("guest-fsfreeze-freeze")
        host.close()
        again = Libvirt(self.bed.socket)
        self.addCleanup(again.close)
        wait_for(lambda: again.call("guest-fsfreeze-status") == "frozen", 10, "frozen", self.bed)
        self.assertEqual(again.call("guest-fsfreeze-thaw"), 7)

    def test_a_long_reply_is_one_line_below_its_limit(self) -> None:
        host = self.start()
        host.call("guest-fsfreeze-freeze")
        host.call("guest-fsfreeze-thaw")
        host.call("guest-quiesce-report", limit=100)
        self.assertEqual(host.host.buffer, b"")

    def test_commands_of_many_clients_one_after_another(self) -> None:
        """The agent job serialises them: thousands on one connection, each answered in turn."""
        host = self.start()
        errors: list[BaseException] = []

        def client(count: int) -> None:
            try:
                for _ in range(count):
                    with lock:
                        host.call("guest-ping")
            except BaseException as error:
                errors.append(error)

        lock = threading.Lock()
        clients = [threading.Thread(target=client, args=(200,)) for _ in range(5)]
        for one in clients:
            one.start()
        for one in clients:
            one.join()
        self.assertEqual(errors, [])
        self.assertEqual(host.syncs, 1)


if __name__ == "__main__":
    tap.main()
