"""What the demo prints: a stamped story, the timeline of a report, and the protocol as a host sees it.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import json
import subprocess
import time
from pathlib import Path

from vmlab.host import AgentHost

BEGAN = time.monotonic()
FAILED: list[str] = []
NEEDS_RECOVERY = 0x4  # of s_feature_incompat


def title(text: str) -> None:
    print(f"\n[{time.monotonic() - BEGAN:5.1f} s] {text}", flush=True)


def tell(text: str) -> None:
    print(f"          {text}", flush=True)


def verify(condition: bool, text: str) -> None:
    """A fact that the demo stands or falls with."""
    tell(f"{'[ok]    ' if condition else '[FAILED]'} {text}")
    if not condition:
        FAILED.append(text)


def needs_recovery(disk: Path) -> bool:
    """Whether the ext4 on a disk image says that its journal must be replayed; reads its superblock only."""
    copy = disk.with_suffix(".superblock")
    subprocess.run(["qemu-img", "dd", "-U", "-O", "raw", f"if={disk}", f"of={copy}", "bs=1024", "skip=1", "count=2"],
                   check=True, capture_output=True, timeout=30)
    block = copy.read_bytes()[:1024]
    copy.unlink()
    if block[56:58] != b"\x53\xef":
        raise ValueError(f"no ext4 on {disk}")
    return bool(int.from_bytes(block[96:100], "little") & NEEDS_RECOVERY)


def _bar(start: float, length: float, whole: float, width: int = 34) -> str:
    first = min(int(start / whole * width), width - 1)
    cells = max(1, min(round(length / whole * width), width - first))
    return "." * first + "#" * cells + "." * (width - first - cells)


def timeline(report: dict) -> None:
    """Every step of one operation on one time axis, in milliseconds from the request."""
    rows = []
    for participant in report["participants"]:
        for step in participant["steps"]:
            rows.append((step["start-ms"], step["duration-ms"],
                         f"{participant['kind']} {participant['name']}: {step['verb']}", step["result"],
                         step.get("reason", "")))
    for item in report["filesystems"]:
        name = f"{item['type']} {item['mountpoint']}"
        if item["result"] == "frozen":
            rows.append((item["start-ms"], item["freeze-ms"] + item["frozen-ms"], f"{name}: frozen",
                         f"sync {item.get('presync-ms', 0)}, freeze {item['freeze-ms']}, thaw {item.get('thaw-ms', 0)} ms", ""))
        else:
            rows.append((item.get("start-ms", 0), 0, name, item["result"], item.get("reason", "")))
    whole = max([start + length for start, length, *_ in rows] + [1])
    tell(f"{'at':>6} {'took':>6}  step")
    for start, length, what, result, reason in sorted(rows, key=lambda row: row[:2]):
        tell(f"{start:6} {length:6}  {what:42} {_bar(start, length, whole)} {result}{' ' + reason if reason else ''}")
    tell(f"prepare {report['prepare-ms']} ms, freeze {report['freeze-ms']} ms, frozen {report['frozen-ms']} ms, "
         f"thaw {report['thaw-ms']} ms; ended by {report.get('ended-by', '-')}")
    reason = report.get("level-reason")
    tell(f"level: {report['level']}{f' ({reason})' if reason else ''}; result: {report['result']}")


def port_open(vm) -> bool:
    """Whether the guest holds the agent's port open: all that a host knows without asking."""
    return next(c["frontend-open"] for c in vm.qmp.execute("query-chardev") if c["label"] == "c0")


def await_port(vm, wanted: bool, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while port_open(vm) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    is_open = port_open(vm)
    verify(is_open == wanted, f"port {'open' if is_open else 'closed'}: the host reports "
                              f"{'GuestAgent' if is_open else 'NoGuestAgent'}")


def raw(host: AgentHost, execute: str, arguments: dict | None = None, width: int = 150) -> object:
    """One request and its reply, as they are on the wire."""
    message: dict = {"execute": execute}
    if arguments:
        message["arguments"] = arguments
    line = json.dumps(message)
    tell(f"--> {line}")
    began = time.monotonic()
    host.send(line.encode() + b"\n")
    reply = host.line(60)
    text = reply.replace(b"\xff", b"").decode()
    took = (time.monotonic() - began) * 1000
    tell(f"<-- {text if len(text) <= width else text[:width] + f'... ({len(text)} bytes)'}   ({took:.1f} ms)")
    return json.loads(text).get("return")
