"""What people in the machine may do over the bus, and what a caller cannot break."""

import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

import bus_bed
from bus_bed import Application, BusBed, BusError, Client
import tap
from testbed import AgentError, wait_for

DENIED = "org.freedesktop.DBus.Error.AccessDenied"
INVALID = "org.freedesktop.DBus.Error.InvalidArgs"
LIMIT = "org.freedesktop.DBus.Error.LimitsExceeded"
FAILED = "org.quiesced.Error.Failed"
NOBODY = 65534
LINGER_SECONDS = 6
LINGERING = 9  # one more than CLOSER_THREADS_MAX of agent/sys/closer.h
MEMORY = 100 if os.environ.get("QUIESCED_SANITIZED") else 1  # a sanitizer keeps what is freed

POLKIT = """<node><interface name='org.freedesktop.PolicyKit1.Authority'>
<method name='CheckAuthorization'><arg type='(sa{sv})' direction='in'/>
<arg type='s' direction='in'/><arg type='a{ss}' direction='in'/><arg type='u' direction='in'/>
<arg type='s' direction='in'/><arg type='(bba{ss})' direction='out'/></method></interface></node>"""

# What another user does: its own file, run with the bus's address and what to do.
OTHER_USER = Path(__file__).with_name("bus_other_user.py")


def as_nobody(bed: BusBed, what: str = "each"):
    result = subprocess.run([sys.executable, "-", bed.address, what], user=NOBODY, group=NOBODY,
                            extra_groups=[], capture_output=True, timeout=60, check=False,
                            input=OTHER_USER.read_bytes(), env={"PATH": os.environ["PATH"]})
    if result.returncode != 0:
        raise AssertionError(result.stderr.decode())
    return json.loads(result.stdout)


class Polkit:
    """The polkitd of a test: answers as told, or never."""

    def __init__(self, bed: BusBed, answer: tuple | None) -> None:
        from gi.repository import Gio, GLib

        self.client = Client(bed)
        self.asked: list[tuple] = []

        def called(_connection, _sender, _path, _interface, _method, parameters, invocation):
            self.asked.append(parameters.unpack())
            if answer is not None:
                invocation.return_value(GLib.Variant("((bba{ss}))", ((*answer, {}),)))

        self.client.connection.register_object(
            "/org/freedesktop/PolicyKit1/Authority",
            Gio.DBusNodeInfo.new_for_xml(POLKIT).interfaces[0], called, None, None)
        self.client.connection.call_sync(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
            GLib.Variant("(su)", ("org.freedesktop.PolicyKit1", 0)), None,
            Gio.DBusCallFlags.NONE, -1, None)


@unittest.skipUnless(os.getuid() == 0, "needs root, to be somebody else")
class Rights(unittest.TestCase):
    """Anyone looks; root acts; others where polkit says so."""

    def test_others_are_denied_without_polkit(self):
        with BusBed() as bed:
            bed.start()
            outcome = as_nobody(bed)
            self.assertEqual(outcome.pop("Status"), "ok")
            for method, text in outcome.items():
                self.assertRegex(text, f"{DENIED} only root may do this", method)
            self.assertEqual(bed.host().call("guest-quiesce-status")["state"], "thawed")

    def test_polkit_is_asked_for_the_action(self):
        with BusBed() as bed:
            bed.start()
            polkit = Polkit(bed, (False, False))
            outcome = as_nobody(bed)
            self.assertEqual(outcome["Register"], f"{DENIED} only root may do this, and whom a "
                                                  "polkit rule allows org.quiesced.register")
            self.assertEqual([ask[1] for ask in polkit.asked],
                             ["org.quiesced.freeze", "org.quiesced.thaw", "org.quiesced.register"])
            self.assertEqual(polkit.asked[0][0][0], "system-bus-name")
            self.assertEqual(polkit.asked[0][3], 0)

    def test_polkit_allows(self):
        with BusBed() as bed:
            bed.start()
            Application(bed, "app")
            Polkit(bed, (True, False))
            self.assertEqual(set(as_nobody(bed).values()), {"ok"})
            self.assertIn("Participant mine of user 65534 registered", bed.log_text())


    def test_polkit_that_says_nothing_holds_up_nobody_else(self):
        with BusBed() as bed:
            bed.start()
            polkit = Polkit(bed, None)
            answers: list[list[str]] = []
            flood = threading.Thread(target=lambda: answers.append(as_nobody(bed, "flood")))
            flood.start()
            wait_for(lambda: polkit.asked, 20, "the flood", bed)
            app = Application(bed, "mine")
            client = Client(bed)
            self.assertTrue(client.json("Freeze", filesystems="none")["rehearsal"])
            self.assertTrue(client.json("Thaw")["held"])
            self.assertEqual(app.calls, ["Prepare", "Freeze", "Thaw"])
            flood.join()
            texts = answers[0]
            asked = [text for text in texts if "did not answer" in text]
            self.assertEqual(len(asked), 16)
            self.assertTrue(all(text.startswith((LIMIT, DENIED)) for text in texts), texts)
            self.assertGreater(sum(text.startswith(LIMIT) for text in texts), 40)

    def test_one_user_does_not_take_all_places(self):
        with BusBed() as bed:
            bed.start()
            Polkit(bed, (True, False))
            outcome = as_nobody(bed, "places")
            self.assertEqual(outcome["registered"], 64)
            self.assertEqual(outcome["error"], f"{LIMIT} one user may register 64 participants")
            Application(bed, "app")


class Local(unittest.TestCase):
    """Freeze and Thaw of somebody in the machine."""

    def test_rehearsal_asks_everybody_and_freezes_nothing(self):
        with BusBed() as bed:
            bed.hook("script")
            bed.start()
            app = Application(bed, "app")
            client = Client(bed)
            answer = client.json("Freeze", filesystems="none")
            self.assertEqual((answer["level"], answer["rehearsal"]), ("application", True))
            self.assertEqual(client.get("State"), "frozen")
            self.assertEqual(client.get("Operation"), answer["operation"])
            self.assertGreater(client.get("FrozenSince"), 1_700_000_000_000_000)
            self.assertEqual(bed.calls("a"), [])
            thawed = client.json("Thaw", operation=answer["operation"])
            self.assertTrue(thawed["held"])
            self.assertEqual(bed.hook_log(), ["script prepare", "script freeze", "script thaw"])
            self.assertTrue(app.contexts[0]["rehearsal"])
            self.assertEqual(app.contexts[0]["mountpoints"],
                             [str(bed.directory("a")), str(bed.directory("b"))])
            report = client.json("History", operation=answer["operation"])["operations"][0]
            self.assertEqual((report["origin"], report["ended-by"], report["rehearsal"]),
                             ("local", "local-thaw", True))
            self.assertEqual(client.get("FrozenSince"), 0)

    def test_a_rehearsal_is_not_taken_for_a_freeze_by_the_host(self):
        """KubeVirt takes its snapshot when the status says frozen, and asks for no freeze."""
        with BusBed() as bed:
            bed.start()
            Application(bed, "app")
            client, host = Client(bed), bed.host()
            operation = client.json("Freeze", filesystems="none")["operation"]
            self.assertEqual(host.call("guest-fsfreeze-status"), "thawed")
            with self.assertRaises(AgentError) as caught:
                host.call("guest-fsfreeze-freeze")
            self.assertEqual(caught.exception.desc,
                             f"quiesce failed: agent: operation {operation} in progress")
            client.json("Thaw")
            self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
            host.call("guest-fsfreeze-thaw")

    def test_changes_are_announced(self):
        from gi.repository import Gio

        with BusBed() as bed:
            bed.start()
            Application(bed, "app")
            client = Client(bed)
            states: list[tuple] = []
            properties: list[dict] = []
            for interface, name, take in (
                    (bus_bed.MANAGER, "StateChanged", states.append),
                    ("org.freedesktop.DBus.Properties", "PropertiesChanged",
                     lambda values: properties.append(values[1]))):
                client.connection.signal_subscribe(
                    "org.quiesced", interface, name, "/org/quiesced", None,
                    Gio.DBusSignalFlags.NONE,
                    lambda *arguments, take=take: take(arguments[5].unpack()))
            operation = client.json("Freeze", filesystems="none")["operation"]
            client.json("Thaw")
            wait_for(lambda: states and states[-1][0] == "thawed", 5, "the end", bed)
            self.assertEqual([state[0] for state in states],
                             ["preparing", "freezing", "frozen", "thawing", "thawed"])
            self.assertEqual(states[2], ("frozen", operation, "application"))
            self.assertEqual(states[-1], ("thawed", "", ""))
            frozen = next(one for one in properties if one["State"] == "frozen")
            self.assertGreater(frozen["FrozenSince"], 0)
            self.assertTrue(frozen["Ready"])
            self.assertEqual(properties[-1]["FrozenSince"], 0)

    def test_local_freeze_is_not_mixed_up_with_the_hosts(self):
        with BusBed() as bed:
            bed.start()
            slow = Application(bed, "slow", {"Prepare": 2})
            host = bed.host()
            host.request("guest-fsfreeze-freeze")
            wait_for(lambda: slow.calls, 5, "prepare", bed)
            client = Client(bed)
            with self.assertRaises(BusError) as caught:
                client.json("Freeze", filesystems="none")
            self.assertRegex(caught.exception.text, "quiesce failed: agent: operation .* in progress")
            self.assertEqual(host.reply()["return"], 2)
            with self.assertRaises(BusError) as caught:
                client.json("Freeze")
            self.assertEqual(caught.exception.name, FAILED)
            self.assertEqual(host.call("guest-fsfreeze-thaw"), 2)

    def test_local_thaw_of_the_hosts_freeze_is_told_to_the_host(self):
        with BusBed() as bed:
            bed.start()
            app = Application(bed, "app")
            host = bed.host()
            host.call("guest-fsfreeze-freeze")
            client = Client(bed)
            with self.assertRaises(BusError):
                client.json("Thaw", operation="another")
            thawed = client.json("Thaw")
            self.assertEqual((thawed["held"], thawed["count"]), (False, 2))
            self.assertFalse(bed.anything_frozen())
            self.assertEqual(app.calls[-1], "Abort")
            with self.assertRaises(BusError) as caught:
                client.json("Freeze", filesystems="none")
            self.assertIn("the host's last freeze was lost", caught.exception.text)
            self.assertFalse(client.json("Thaw")["held"])
            with self.assertRaises(AgentError) as caught:
                host.call("guest-fsfreeze-thaw")
            self.assertRegex(caught.exception.desc, "not held until thaw: thawed by user "
                                                    f"{os.getuid()} in the machine after")
            report = host.call("guest-quiesce-report")["operations"][0]
            self.assertEqual((report["origin"], report["ended-by"]), ("host", "local-thaw"))
            self.assertFalse(client.json("Thaw")["held"])

    def test_lost_local_freeze_owes_the_host_nothing(self):
        with BusBed() as bed:
            bed.start()
            Application(bed, "app")
            client = Client(bed)
            operation = client.json("Freeze", frozen_limit_ms=2000)["operation"]
            wait_for(lambda: client.get("State") == "thawed", 20, "the limit", bed)
            thawed = client.json("Thaw", operation=operation)
            self.assertEqual((thawed["held"], thawed["level"]), (False, "crash"))
            host = bed.host()
            self.assertEqual(host.call("guest-fsfreeze-thaw"), 0)
            self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
            self.assertEqual(host.call("guest-fsfreeze-thaw"), 2)

    def test_killed_during_a_local_freeze(self):
        with BusBed() as bed:
            bed.start()
            client = Client(bed)
            client.json("Freeze")
            bed.kill()
            wait_for(lambda: not bed.anything_frozen(), 10, "the keeper", bed)
            bed.start()
            self.assertEqual(bed.host().call("guest-fsfreeze-thaw"), 0)

    def test_freeze_of_a_caller_who_leaves_is_undone(self):
        with BusBed() as bed:
            bed.start()
            app = Application(bed, "app", {"Freeze": None})
            caller = Client(bed)
            from gi.repository import Gio, GLib

            caller.connection.call(
                "org.quiesced", "/org/quiesced", bus_bed.MANAGER, "Freeze",
                GLib.Variant("(a{sv})", ({},)), None, Gio.DBusCallFlags.NONE, 60000, None, None)
            wait_for(lambda: "Freeze" in app.calls, 5, "the call", bed)
            caller.close()
            wait_for(lambda: app.calls[-1] == "Abort", 5, "abort", bed)
            client = Client(bed)
            wait_for(lambda: client.get("State") == "thawed", 5, "the end", bed)
            report = client.json("History", limit=1)["operations"][0]
            self.assertIn("left the bus", report["error"])


class Limits(unittest.TestCase):
    """Each crossed; the others notice nothing."""

    def refused(self, name: str, text: str, action) -> None:
        with self.assertRaises(BusError) as caught:
            action()
        self.assertEqual(caught.exception.name, name, caught.exception.text)
        self.assertRegex(caught.exception.text, text)
        self.assertLess(len(caught.exception.text), 300)

    def test_names_and_options(self):
        from gi.repository import GLib

        with BusBed() as bed:
            bed.start()
            client = Client(bed)
            register = client.register
            for name in ("", "a" * 65, "a b", "a/b", "ä"):
                self.refused(INVALID, "a name has", lambda name=name: register(name))
            self.refused(LIMIT, "65536", lambda: register("a" * (1 << 20)))
            self.refused(LIMIT, "65536", lambda: register("a", mountpoints=["/" * 1000] * 70))
            self.refused(INVALID, "more than 64", lambda: register("a", mountpoints=["/a"] * 65))
            self.refused(INVALID, "4096", lambda: register("a", mountpoints=["/" * 5000]))
            self.refused(INVALID, "begin with", lambda: register("a", mountpoints=["srv"]))
            self.refused(INVALID, "100 is not from 0 to 99", lambda: register("a", order=100))
            self.refused(INVALID, "0 is not from 1", lambda: register("a", timeout_ms=0))
            self.refused(INVALID, "'maybe' is none of", lambda: register("a", on_failure="maybe"))
            self.refused(INVALID, "none of prepare", lambda: register("a", verbs=["frieze"]))
            self.refused(INVALID, "'colour' is not known", lambda: register("a", colour="red"))
            self.refused(INVALID, "type s, it must be u", lambda: register("a", order="5"))
            for kind, number in (("i", -1), ("x", 1 << 40), ("t", (1 << 64) - 1)):
                self.refused(INVALID, "is not from 0 to 99",
                             lambda kind=kind, number=number: register(
                                 "a", order=GLib.Variant(kind, number)))
            for kind in "ynqiuxt":
                os.close(register("a", order=GLib.Variant(kind, 5)))
            for options in ({"limit": 0}, {"limit": 101}, {"frozen": "x"}):
                self.refused(INVALID, "option", lambda options=options: client.json(
                    "History", **options))
            self.refused(FAILED, "has not been found", lambda: client.json(
                "History", operation="x"))
            self.refused(INVALID, "none of all, none", lambda: client.json(
                "Freeze", filesystems="some"))
            self.refused(INVALID, "900000", lambda: client.json("Freeze", frozen_limit_ms=900001))
            self.refused(FAILED, "no filesystem is mounted", lambda: client.json(
                "Plan", mountpoints=["/nowhere"]))
            self.assertEqual(client.json("ListParticipants")["participants"], [])

    def test_ten_thousand_registrations(self):
        with BusBed() as bed:
            bed.start()
            good = Application(bed, "good")
            flood = Client(bed)
            guards = [flood.register(f"flood{number}") for number in range(16)]
            before = bed.memory()
            for number in range(10000):
                self.send_register(flood, f"more{number}")
                if number % 250 == 0:
                    flood.get("State")  # else it is GDBus's queue that is measured
                if number % 2500 == 500:
                    # The best counts: one that is late may be this machine's.
                    self.assertLess(min(self.ping(bed) for _ in range(3)), 0.5)
            self.refused(LIMIT, "one connection may register 16",
                         lambda: flood.register("last"))
            self.assertEqual(len(Client(bed).json("ListParticipants")["participants"]), 17)
            self.refused(FAILED, "'good' is registered already",
                         lambda: Client(bed).register("good"))
            self.assertLess(bed.memory() - before, 1024 * MEMORY)
            for guard in guards:
                os.close(guard)
            host = bed.host()
            self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
            host.call("guest-fsfreeze-thaw")
            self.assertEqual(good.calls, ["Prepare", "Freeze", "Thaw"])

    def test_all_places_taken(self):
        with BusBed() as bed:
            bed.start()
            clients = [Client(bed) for _ in range(16)]
            for number in range(256):
                clients[number % 16].register(f"p{number}")
            self.refused(LIMIT, "256 participants", lambda: Client(bed).register("more"))
            clients.pop().close()
            late = Client(bed)
            wait_for(lambda: len(late.json("ListParticipants")["participants"]) == 240, 5, "240",
                     bed)
            late.register("more")

    def test_plans_are_made_a_few_at_a_time(self):
        from gi.repository import Gio, GLib

        with BusBed() as bed:
            bed.start()
            (bed.root / "mountinfo").unlink()
            os.mkfifo(bed.root / "mountinfo")  # whoever reads it waits for ever
            client = Client(bed)
            for _ in range(4):
                client.connection.call(
                    "org.quiesced", "/org/quiesced", bus_bed.MANAGER, "Plan",
                    GLib.Variant("(a{sv})", ({},)), None, Gio.DBusCallFlags.NONE, 60000, None, None)
            self.refused(LIMIT, "4 plans are being made; ask again", lambda: client.json("Plan"))
            self.assertEqual(client.json("Status")["state"], "thawed")

    def test_large_texts_do_not_add_up(self):
        """GDBus keeps the largest message's buffer; the bus daemon limits that one to 32 MiB."""
        with BusBed() as bed:
            bed.start()
            client = Client(bed)
            self.refused(LIMIT, "65536", lambda: client.register("a" * (8 << 20)))
            before = bed.memory()
            for _ in range(4):
                self.refused(LIMIT, "65536", lambda: client.register("a" * (8 << 20)))
            self.assertLess(bed.memory() - before, 1024 * MEMORY)

    def test_fds_that_take_long_to_close(self):
        """Sent along with calls that take none: no channel waits for their end, and the bus only
        for the last of them."""
        with BusBed() as bed:
            bed.start()
            client = Client(bed)
            host = bed.host()
            host.ping()
            # It comes to them when nobody else has them any more.
            os.kill(bed.process.pid, signal.SIGSTOP)
            others = [self.send_lingering(client) for _ in range(LINGERING)]
            time.sleep(0.3)
            os.kill(bed.process.pid, signal.SIGCONT)
            pings = []
            end = time.monotonic() + 2
            while time.monotonic() < end:
                pings.append(host.ping())
                time.sleep(0.02)
            self.assertLess(max(pings), LINGER_SECONDS / 2)
            self.assertEqual(Client(bed).json("Status")["state"], "thawed")
            for other in others:
                other.close()

    @staticmethod
    def send_lingering(client: Client) -> socket.socket:
        """A connection whose last close() waits for the other end, which does not read; that."""
        from gi.repository import Gio

        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sender = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
        listener.close()
        sender.setblocking(False)
        try:
            while True:
                sender.send(b"x" * 65536)
        except BlockingIOError:
            pass
        sender.setblocking(True)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, LINGER_SECONDS))
        fds = Gio.UnixFDList.new()
        fds.append(sender.fileno())
        sender.close()
        message = Gio.DBusMessage.new_method_call("org.quiesced", "/org/quiesced",
                                                  bus_bed.MANAGER, "Status")
        message.set_unix_fd_list(fds)
        client.connection.send_message(message, Gio.DBusSendMessageFlags.NONE)
        client.connection.flush_sync(None)
        return other

    @staticmethod
    def send_register(client: Client, name: str) -> None:
        """Without waiting for what the service says."""
        from gi.repository import Gio, GLib

        message = Gio.DBusMessage.new_method_call("org.quiesced", "/org/quiesced",
                                                  bus_bed.MANAGER, "Register")
        message.set_flags(Gio.DBusMessageFlags.NO_REPLY_EXPECTED)
        message.set_body(GLib.Variant("(soa{sv})", (name, "/app", {})))
        client.connection.send_message(message, Gio.DBusSendMessageFlags.NONE)

    @staticmethod
    def ping(bed: BusBed) -> float:
        host = bed.host()
        took = host.ping()
        host.close()
        return took


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    bus_bed.run_loop()
    tap.main()
