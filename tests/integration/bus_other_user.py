"""What a user without rights does on the bus; prints the outcome as JSON.

    bus_other_user.py ADDRESS each    one call of each method
    bus_other_user.py ADDRESS flood   a hundred registrations at once, over four connections
    bus_other_user.py ADDRESS places  registers until it is refused
"""

import json
import sys

from gi.repository import Gio, GLib

KEPT: list = []  # replies, and with them the guards
MANAGER = ("org.quiesced", "/org/quiesced", "org.quiesced.Manager1")


def connect() -> Gio.DBusConnection:
    return Gio.DBusConnection.new_for_address_sync(
        sys.argv[1], Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
        | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)


def outcome(action) -> str:
    """"ok", or name and text of the error."""
    try:
        action()
        return "ok"
    except GLib.Error as error:
        name = Gio.DBusError.get_remote_error(error)
        return f"{name} " + error.message.removeprefix(f"GDBus.Error:{name}: ")


def registration(name: str) -> GLib.Variant:
    return GLib.Variant("(soa{sv})", (name, "/", {}))


def call(bus: Gio.DBusConnection, method: str, arguments: GLib.Variant | None) -> str:
    return outcome(lambda: KEPT.append(bus.call_with_unix_fd_list_sync(
        *MANAGER, method, arguments, None, Gio.DBusCallFlags.NONE, 30000, None, None)))


def each() -> dict:
    bus = connect()
    none = {"filesystems": GLib.Variant("s", "none")}
    return {
        "Status": call(bus, "Status", None),
        "Freeze": call(bus, "Freeze", GLib.Variant("(a{sv})", (none,))),
        "Thaw": call(bus, "Thaw", GLib.Variant("(a{sv})", ({},))),
        "Register": call(bus, "Register", registration("mine")),
    }


def flood() -> list[str]:
    loop = GLib.MainLoop()
    outcomes: list[str] = []
    buses = [connect() for _ in range(4)]

    def answered(bus, result, _data):
        outcomes.append(outcome(lambda: bus.call_with_unix_fd_list_finish(result)))
        if len(outcomes) == 100:
            loop.quit()

    for number in range(100):
        buses[number % 4].call_with_unix_fd_list(
            *MANAGER, "Register", registration(f"p{number}"), None, Gio.DBusCallFlags.NONE, 30000, None,
            None, answered, None)
    loop.run()
    return outcomes


def places() -> dict:
    buses = []
    for number in range(1000):
        if number % 10 == 0:
            buses.append(connect())
        error = call(buses[-1], "Register", registration(f"p{number}"))
        if error != "ok":
            return {"registered": number, "error": error}
    return {"registered": 1000}


print(json.dumps({"each": each, "flood": flood, "places": places}[sys.argv[2]]()))
