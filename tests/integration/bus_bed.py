"""A private dbus-daemon as the service's system bus, and applications that take part through it.

Needs the bindings of GLib for Python, which a Python of one's own does not have: find_bindings()
goes over to the distribution's Python, and says SKIP where that has none either.
"""

import os
import pwd
import subprocess
import sys
import threading
import time
from pathlib import Path

DISTRIBUTION_PYTHON = "/usr/bin/python3"


def find_bindings() -> None:
    """Returns in a Python that has them; call it before anything else."""
    try:
        import gi.repository.Gio  # noqa: F401
        return
    except ImportError:
        pass
    if sys.executable != DISTRIBUTION_PYTHON and os.path.exists(DISTRIBUTION_PYTHON):
        os.execv(DISTRIBUTION_PYTHON, [DISTRIBUTION_PYTHON, *sys.argv])
    print("1..0 # SKIP python3-gi is not installed")
    sys.exit(0)


find_bindings()

from gi.repository import Gio, GLib  # noqa: E402

from testbed import Testbed, wait_for  # noqa: E402

SOURCE = Path(__file__).parents[2]
XML = (SOURCE / "agent/bus/org.quiesced.xml").read_text()
MANAGER = "org.quiesced.Manager1"
CALL_MS = 60000


def run_loop() -> None:
    """GLib's main loop in a thread of its own, for as long as the tests run."""
    threading.Thread(target=GLib.MainLoop().run, daemon=True).start()


class BusError(Exception):
    """An error reply: its D-Bus name and text."""

    def __init__(self, error: GLib.Error) -> None:
        self.name = Gio.DBusError.get_remote_error(error) or ""
        self.text = error.message.removeprefix(f"GDBus.Error:{self.name}: ")
        super().__init__(f"{self.name}: {self.text}")


class Client:
    """A connection to the bus, and what it asks of the service."""

    def __init__(self, bed: "BusBed") -> None:
        self.connection = Gio.DBusConnection.new_for_address_sync(
            bed.address,
            Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
            | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)

    def call(self, method: str, arguments: GLib.Variant | None = None, reply: str = "(s)"):
        """The values returned; an error raises BusError."""
        try:
            value = self.connection.call_sync(
                "org.quiesced", "/org/quiesced", MANAGER, method, arguments,
                GLib.VariantType(reply), Gio.DBusCallFlags.NONE, CALL_MS, None)
        except GLib.Error as error:
            raise BusError(error) from None
        return value.unpack()

    def json(self, method: str, **options):
        """The JSON of a method that takes options (or none)."""
        import json

        arguments = None
        if method not in ("Status", "ListParticipants"):
            arguments = GLib.Variant("(a{sv})", (variants(options),))
        return json.loads(self.call(method, arguments)[0])

    def get(self, name: str):
        """A property of the manager."""
        value = self.connection.call_sync(
            "org.quiesced", "/org/quiesced", "org.freedesktop.DBus.Properties", "Get",
            GLib.Variant("(ss)", (MANAGER, name)), GLib.VariantType("(v)"),
            Gio.DBusCallFlags.NONE, CALL_MS, None)
        return value.unpack()[0]

    def register(self, name: str, path: str = "/app", **options) -> int:
        """Registers; the guard."""
        try:
            reply, fds = self.connection.call_with_unix_fd_list_sync(
                "org.quiesced", "/org/quiesced", MANAGER, "Register",
                GLib.Variant("(soa{sv})", (name, path, variants(options))),
                GLib.VariantType("(h)"), Gio.DBusCallFlags.NONE, CALL_MS, None, None)
        except GLib.Error as error:
            raise BusError(error) from None
        return fds.get(reply.unpack()[0])

    def close(self) -> None:
        self.connection.close_sync(None)


def variants(options: dict) -> dict:
    """Options of a call, with their D-Bus types."""
    types = {int: "u", str: "s", list: "as"}
    return {name.replace("_", "-"): value if isinstance(value, GLib.Variant)
            else GLib.Variant(types[type(value)], value) for name, value in options.items()}


class Application(Client):
    """A participant. `answers` has, by method, what it does instead of agreeing: a text to refuse
    with, or a number of seconds to answer after; None: never."""

    def __init__(self, bed: "BusBed", name: str, answers: dict | None = None,
                 path: str = "/app", **options) -> None:
        super().__init__(bed)
        self.name = name
        self.bed = bed
        self.answers = answers or {}
        self.calls: list[str] = []
        self.contexts: list[dict] = []
        info = Gio.DBusNodeInfo.new_for_xml(XML).lookup_interface("org.quiesced.Participant1")
        self.connection.register_object(path, info, self._called, None, None)
        self.guard = self.register(name, path, **options)

    def _called(self, _connection, _sender, _path, _interface, method, parameters, invocation):
        # On a thread of its own: `calls` comes last, as it is what a test waits for.
        self.contexts.append(parameters.unpack()[0])
        self.bed.order.append(f"{self.name} {method}")
        self.calls.append(method)
        answer = self.answers.get(method, 0)
        if isinstance(answer, str):
            invocation.return_dbus_error("com.example.NotNow", answer)
        elif answer == 0:
            invocation.return_value(None)
        elif answer is not None:
            GLib.timeout_add(int(answer * 1000), lambda: invocation.return_value(None))

    def hung_up(self, seconds: float) -> bool:
        """Whether the guard is let go of by the service within so long."""
        import select

        poller = select.poll()
        poller.register(self.guard, select.POLLHUP)
        return bool(poller.poll(seconds * 1000))

    def leave(self) -> None:
        """The guard is closed, the connection stays."""
        os.close(self.guard)
        self.guard = -1


class BusBed(Testbed):
    """A testbed whose service has a bus."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.order: list[str] = []
        self.daemon: subprocess.Popen | None = None
        self.write_bus_config()

    def write_bus_config(self) -> None:
        """What the system bus allows by default, and our own policy, for the user of the test."""
        user = pwd.getpwuid(os.getuid()).pw_name
        policy = (SOURCE / "dbus/org.quiesced.conf").read_text()
        (self.root / "policy.conf").write_text(policy.replace('"root"', f'"{user}"'))
        (self.root / "bus.conf").write_text(
            f"""<busconfig><listen>{self.address}</listen><auth>EXTERNAL</auth>
            <policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/>
            <allow send_type="signal"/><allow send_requested_reply="true"/>
            <allow receive_type="method_call"/><allow receive_requested_reply="true"/>
            <allow receive_type="signal"/><allow send_destination="org.freedesktop.DBus"/>
            <allow own="org.freedesktop.PolicyKit1"/>
            <allow send_destination="org.freedesktop.PolicyKit1"/></policy>
            <include>{self.root}/policy.conf</include></busconfig>""")

    def start_bus(self) -> None:
        self.daemon = subprocess.Popen(
            ["dbus-daemon", f"--config-file={self.root}/bus.conf", "--nofork", "--nopidfile"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.bus_answers, 10, "the bus")

    def bus_answers(self) -> bool:
        try:
            Client(self).close()
            return True
        except GLib.Error:
            return False

    def stop_bus(self) -> None:
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()
        self.daemon = None
        (self.root / "bus").unlink(missing_ok=True)

    def start(self, *options: str) -> None:
        if not self.daemon:
            self.start_bus()
        super().start(*options)
        self.on_bus()

    def on_bus(self) -> None:
        """Waits until the service has its name."""
        client = Client(self)
        wait_for(lambda: self.has_name(client), 10, "org.quiesced on the bus", self)
        client.close()

    @staticmethod
    def has_name(client: Client) -> bool:
        return client.connection.call_sync(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
            GLib.Variant("(s)", ("org.quiesced",)), None, Gio.DBusCallFlags.NONE, CALL_MS,
            None).unpack()[0]

    def __exit__(self, *exception) -> None:
        super().__exit__(*exception)
        self.stop_bus()
