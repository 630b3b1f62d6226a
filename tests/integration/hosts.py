"""How hosts speak to an agent, and what they insist on in its replies.

Only what decides whether a host is content: libvirt's rules for syncs, lines and late replies, and
the members that it takes from replies. Written from the hosts' sources; no host is needed to run.
"""

import json
import re
import time
from pathlib import Path

from testbed import AgentError, Host, Testbed

UINT, INT, NUMBER, STRING, BOOL = "unsigned", "integer", "number", "string", "boolean"
DISK = {"bus-type?": STRING, "serial?": STRING, "dev?": STRING, "bus": INT, "target": INT,
        "unit": INT, "pci-controller": {"domain": INT, "bus": INT, "slot": INT, "function": INT},
        "ccw-address?": {"cssid": INT, "ssid": INT, "devno": INT}}
# What libvirt takes from each reply; "?" marks what may be absent.
REPLIES = {
    "guest-get-vcpus": [{"logical-id": UINT, "online": BOOL, "can-offline?": BOOL}],
    "guest-get-host-name": {"host-name": STRING},
    "guest-get-time": UINT,
    "guest-get-fsinfo": [{"mountpoint": STRING, "name": STRING, "type": STRING,
                          "used-bytes?": UINT, "total-bytes?": UINT, "disk": [DISK]}],
    "guest-network-get-interfaces": [{"name": STRING, "hardware-address?": STRING, "ip-addresses?": [
        {"ip-address-type": ("ipv4", "ipv6"), "ip-address": STRING, "prefix": UINT}]}],
    "guest-get-users": [{"user": STRING, "domain?": STRING, "login-time": NUMBER}],
    "guest-get-osinfo": {f"{name}?": STRING for name in (
        "id", "name", "pretty-name", "version", "version-id", "machine", "variant", "variant-id",
        "kernel-release", "kernel-version")},
    "guest-get-timezone": {"zone?": STRING, "offset": INT},
    "guest-get-disks": [{"name": STRING, "partition": BOOL, "dependencies?": [STRING],
                         "alias?": STRING, "address?": DISK}],
    "guest-get-load": {"load1m": NUMBER, "load5m": NUMBER, "load15m": NUMBER},
    "guest-info": {"version": STRING, "supported_commands": [
        {"name": STRING, "enabled": BOOL, "success-response": BOOL}]},
    "guest-fsfreeze-status": ("frozen", "thawed"),
}
GROUPS = ("guest-get-osinfo", "guest-get-timezone", "guest-get-host-name",
          "guest-network-get-interfaces", "guest-get-users", "guest-get-fsinfo", "guest-get-disks",
          "guest-get-load")

# What the commands that look read below the directory of a test.
MACHINE = {
    "proc/loadavg": "0.50 1.25 2.00 1/200 4711\n",
    "proc/stat": "cpu 9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 9 10\n",
    "proc/diskstats": "254 0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n",
    "proc/net/dev": "lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
    "proc/net/route": "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\t"
                      "IRTT\neth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n",
    "proc/net/ipv6_route": "",
    "sys/block/vda/dev": "254:0\n",
    "sys/devices/system/cpu/cpu0/x": "",
    "sys/devices/system/cpu/cpu1/online": "1\n",
    "sys/devices/system/memory/block_size_bytes": "8000000\n",
    "sys/devices/system/memory/memory3/state": "online\n",
    "sys/devices/system/memory/memory3/removable": "1\n",
}


def furnish(bed: Testbed) -> None:
    """A machine with two processors and one of each other thing."""
    for name, text in MACHINE.items():
        bed.put(name, text)


def misfit(value, shape, place: str = "return") -> str | None:
    """Where a value is not of a shape; None: it is."""
    if isinstance(shape, tuple):
        return None if value in shape else f"{place}: {value!r}"
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{place}: no list"
        return next(filter(None, (misfit(entry, shape[0], f"{place}[{number}]")
                                  for number, entry in enumerate(value))), None)
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{place}: no object"
        for name, kind in shape.items():
            key = name.rstrip("?")
            if key not in value:
                if name == key:
                    return f"{place}.{key}: absent"
                continue
            found = misfit(value[key], kind, f"{place}.{key}")
            if found:
                return found
        return None
    fits = {UINT: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
            INT: isinstance(value, int) and not isinstance(value, bool),
            NUMBER: isinstance(value, (int, float)) and not isinstance(value, bool),
            STRING: isinstance(value, str), BOOL: isinstance(value, bool)}
    return None if fits[shape] else f"{place}: {value!r} is no {shape}"


class Broken(Exception):
    """libvirt's agentError: no command works until the port is closed and opened again."""


class Libvirt:
    """One command at a time, no ids, a guest-sync before the first and after a time-out."""

    MAX_LINE = 10 << 20
    SYNC_SECONDS = 5.0

    def __init__(self, path: Path) -> None:
        self.host = Host(path)
        self.in_sync = False
        self.number = int(time.time() * 1000)
        self.syncs = 0

    def reply(self, seconds: float) -> dict:
        """The next line that is a reply; events are ignored, anything else breaks the agent."""
        deadline = time.monotonic() + seconds
        while True:
            line = self.host.line(max(deadline - time.monotonic(), 0.001))
            if len(line) > self.MAX_LINE:
                raise Broken("a line without end")
            try:
                reply = json.loads(line)
            except ValueError as error:
                raise Broken(f"not JSON: {line[:100]!r}") from error
            if isinstance(reply, dict) and ("return" in reply or "error" in reply):
                return reply
            if not isinstance(reply, dict) or not ("event" in reply or "QMP" in reply):
                raise Broken(f"no reply: {line[:100]!r}")

    def sync(self) -> None:
        """Answers of others are skipped; the first may be garbage."""
        self.number += 1
        self.syncs += 1
        self.host.request("guest-sync", id=self.number)
        deadline = time.monotonic() + self.SYNC_SECONDS
        while True:
            try:
                reply = self.reply(deadline - time.monotonic())
            except Broken:
                self.host.request("guest-sync", id=self.number)
                continue
            except TimeoutError:
                raise AgentError({"class": "host", "desc": "guest agent didn't respond to "
                                  "synchronization within '5' seconds"}) from None
            if reply.get("return") == self.number:
                self.in_sync = True
                return

    def call(self, command: str, /, timeout: float = 60, **arguments):
        """The value; an error as libvirt shows it. Replies it acts on must be of their shape."""
        if not self.in_sync:
            self.sync()
        self.host.request(command, **arguments)
        try:
            reply = self.reply(timeout)
        except TimeoutError:
            self.in_sync = False
            raise
        if "error" in reply:
            raise AgentError(reply["error"])
        wrong = misfit(reply["return"], REPLIES[command]) if command in REPLIES else None
        if wrong:
            raise AssertionError(f"{command} {wrong}")
        return reply["return"]

    def guest_info(self, groups=GROUPS) -> dict:
        """virsh guestinfo: a command that is not there is skipped, any other error ends it."""
        found = {}
        for command in groups:
            try:
                found[command] = self.call(command, timeout=5)
            except AgentError as error:
                if error.kind not in ("CommandNotFound", "CommandDisabled"):
                    raise
        return found

    def close(self) -> None:
        self.host.close()


class Proxmox:
    """Connects for every command; a regular expression takes the line directly after the sync's."""

    PAIR = re.compile(rb"^.*\xff([^\n]+}\r?\n[^\n]+})\r?\n(.*)$", re.S)

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0

    def send(self, command: str, arguments: dict) -> Host:
        host = Host(self.path)
        self.number += 1
        host.send(json.dumps({"execute": "guest-sync-delimited",
                              "arguments": {"id": self.number}}).encode() + b"\n" +
                  json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        return host

    def call(self, command: str, /, timeout: float = 5, **arguments):
        host = self.send(command, {name.replace("_", "-"): value
                                   for name, value in arguments.items()})
        data = b""
        deadline = time.monotonic() + timeout
        try:
            while not (match := self.PAIR.match(data)):
                host.socket.settimeout(max(deadline - time.monotonic(), 0.001))
                more = host.socket.recv(1 << 16)
                if not more:
                    raise EOFError(command)
                data += more
        finally:
            host.close()
        sync, reply = match[1].splitlines()
        if json.loads(sync)["return"] != self.number:
            raise AssertionError(f"got wrong command id: {sync!r}")
        answer = json.loads(reply)
        if "error" in answer:
            raise AgentError(answer["error"])
        return answer["return"]
