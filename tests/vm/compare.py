"""Runs conversations with an agent, and finds what is different between two agents' replies.

A reply is taken apart into places ("return.disk[0].serial") with a value each. Values that are
another at every request are replaced by their kind (VARYING); of lists whose entries have a name
the entries are compared by name, and their order on its own.
"""

import fnmatch
import json
import re
import time
from dataclasses import dataclass

from compare_requests import UNTIL
from vmlab.host import AgentHost

ABSENT = "absent"
KEYS = ("name", "logical-id", "phys-index", "mountpoint", "cpu", "user", "path")

# Command, place, what stands there instead of the value.
VARYING = (
    ("guest-get-time", r"return", "a time"),
    ("guest-get-load", r"return\..*", "a number"),
    ("guest-get-cpustats", r"return\[.*\]\.(user|nice|system|idle|iowait|irq|softirq|steal|guest.*)",
     "a counter"),
    ("guest-get-diskstats", r"return\[.*\]\.stats\..*", "a counter"),
    ("guest-get-fsinfo", r"return\[.*\]\.used-bytes", "a size"),
    ("guest-network-get-interfaces", r"return\[.*\]\.statistics\..*", "a counter"),
    ("guest-fstrim", r"return\.paths\[.*\]\.trimmed", "a size"),
    ("guest-exec", r"return\.pid", "a number"),
    ("guest-file-open", r"return", "a number"),
)
# Both agents' answers are compared, and ours gives an older one when reading takes long: the second
# answer counts.
READ_ON_THE_SIDE = ("guest-get-vcpus", "guest-get-timezone")
HANDLE = re.compile(r"handle '1\d\d\d'")  # of a file that was open; they begin at 1000
NUMBER = re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)?")


@dataclass(frozen=True)
class Difference:
    """One place in which the two answered differently; values as JSON."""

    conversation: str
    command: str
    place: str
    stock: str
    ours: str

    def __str__(self) -> str:
        return (f"{self.conversation!r}: {self.command} {self.place}: "
                f"qemu-ga {self.stock[:300]}, quiesced {self.ours[:300]}")


def key_of(entries: list) -> str | None:
    """The member that tells the entries of a list apart."""
    if not entries or not all(isinstance(entry, dict) for entry in entries):
        return None
    for key in KEYS:
        if all(key in entry for entry in entries) and \
                len({str(entry[key]) for entry in entries}) == len(entries):
            return key
    return None


def places(value, place: str = "") -> dict[str, str]:
    """Every place of a reply and its value."""
    result: dict[str, str] = {}
    if isinstance(value, dict):
        for name, member in value.items():
            result |= places(member, f"{place}.{name}" if place else name)
        return result or {place: "{}"}
    if isinstance(value, list) and (key := key_of(value)):
        result[f"{place} (order)"] = json.dumps([entry[key] for entry in value])
        for entry in value:
            result |= places(entry, f"{place}[{entry[key]}]")
        return result
    if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        for number, entry in enumerate(value):
            result |= places(entry, f"{place}[{number}]")
        return result
    return {place: json.dumps(value)}


def steady(command: str, found: dict[str, str]) -> dict[str, str]:
    """Places with values that the next request would repeat."""
    result = {}
    for place, value in found.items():
        for of, where, kind in VARYING:
            if of == command and re.fullmatch(where, place) and NUMBER.fullmatch(value):
                value = kind
        result[place] = HANDLE.sub("handle 'N'", value)
    return result


def find(conversation: str, command: str, stock: list, ours: list) -> list[Difference]:
    """What is different between two lists of replies."""
    found = []
    for number in range(max(len(stock), len(ours))):
        prefix = f"reply {number + 1}: " if number else ""
        sides = [steady(command, places(replies[number])) if number < len(replies) else
                 {"reply": ABSENT} for replies in (stock, ours)]
        for place in sorted(sides[0].keys() | sides[1].keys()):
            values = [side.get(place, ABSENT) for side in sides]
            if values[0] != values[1]:
                found.append(Difference(conversation, command, prefix + place, *values))
    return found


@dataclass(frozen=True)
class Known:
    """A difference that is meant, with what docs/compatibility.md says about it."""

    what: str
    stock: str
    ours: str
    why: str
    command: str = "*"
    place: str = ".*"
    was: str = ".*"  # the values of both sides; regular expressions, as what follows
    now: str = ".*"
    conversation: str = ".*"

    def covers(self, difference: Difference) -> bool:
        return (fnmatch.fnmatchcase(difference.command, self.command)
                and re.fullmatch(self.conversation, difference.conversation) is not None
                and re.fullmatch(self.place, difference.place, re.S) is not None
                and re.fullmatch(self.was, difference.stock, re.S) is not None
                and re.fullmatch(self.now, difference.ours, re.S) is not None)


def replace(value, replies: list):
    """An argument with "$N.path" taken from the reply to step N."""
    if isinstance(value, dict):
        return {name: replace(member, replies) for name, member in value.items()}
    match = re.fullmatch(r"\$(\d+)\.(.*)", value) if isinstance(value, str) else None
    if not match:
        return value
    found = replies[int(match[1])]
    for name in match[2].split("."):
        found = found.get(name, {}) if isinstance(found, dict) else {}
    return found if found != {} else 0


class Talker:
    """One agent; every exchange ends in a sync, so that nothing is left over or missed."""

    def __init__(self, host: AgentHost, vm) -> None:
        self.host, self.vm = host, vm
        self.number = 1 << 30

    def _until_sync(self, data: bytes, timeout: float) -> list:
        """The replies to `data`, which goes out in one piece with a sync."""
        self.number += 1
        sync = {"execute": "guest-sync", "arguments": {"id": self.number}}
        self.host.send(data + json.dumps(sync).encode() + b"\n")
        replies: list = []
        while True:
            line = self.host.line(timeout)
            reply = json.loads(line.lstrip(b"\xff"))
            if reply == {"return": self.number}:
                return replies
            replies.append({"0xff": True, **reply} if line.startswith(b"\xff") else reply)

    def raw(self, data: bytes, unfinished: bool) -> list:
        return self._until_sync(data + (b"\xff" if unfinished else b"\n"), 20)

    def ask(self, command: str, arguments: dict | None, timeout: float = 60) -> dict:
        self.host.request(command, arguments)
        return json.loads(self.host.line(timeout).lstrip(b"\xff"))

    def step(self, step, replies: list):
        """Runs one step and returns its reply, or the output of a shell command."""
        if isinstance(step, str):
            return {"output": self.vm.run(step[1:], check=False)}
        command, arguments = step
        arguments = replace(arguments, replies)
        if command in READ_ON_THE_SIDE:
            self.ask(command, arguments)
            time.sleep(1)
        reply = self.ask(command, arguments)
        deadline = time.monotonic() + 20
        while UNTIL.get(command) and reply.get("return", {}).get(UNTIL[command]) is False and \
                time.monotonic() < deadline:
            time.sleep(0.05)
            reply = self.ask(command, arguments)
        return reply

    def talk(self, steps: list) -> list:
        replies: list = []
        for step in steps:
            replies.append(self.step(step, replies))
        return replies


def command_of(step) -> str:
    """What a step is filed under."""
    if isinstance(step, bytes):
        return "wire"
    return "shell" if isinstance(step, str) else step[0]
