"""Faults of the host's side: it goes away, does not read, is unplugged, or pauses the machine.

Where something is frozen the host stays away past the frozen limit: then the keeper's deadline
thaws, and the host is told when it is back. Elsewhere the quiesce goes on without it.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import socket
import time

from context import check
from matrix_cell import Cell, Fault, measure_limit, wants

LIMIT_MS = 4000
PING_MS = 100
QUESTIONS = 400  # their answers do not fit into what the host's side buffers
PAUSED_LIMIT_MS = 6000  # more than the cell takes while the guest runs
PAUSED_SECONDS = 6.4

# The answer to the request in flight goes nowhere; the host comes back and thaws.
AWAY = wants({
    "preparing": {"reply": "unheard"}, "freezing": {"reply": "unheard"},
    "thawing": {"reply": "unheard"}, "aborting": {"reply": "unheard"},
    "frozen": {"thaw": "lost", "reason": "the frozen limit passed", "ended": ("limit",)},
})


def short_limit(cell: Cell) -> None:
    if cell.state == "frozen":
        cell.limit_ms = LIMIT_MS


def wait_limit(cell: Cell) -> None:
    """Past the deadline; measures by how much it was missed."""
    if cell.state != "frozen":
        return
    cell.rig.wait_state("lost")
    measure_limit(cell, cell.since)


def answers_meanwhile(cell: Cell) -> None:
    """The other channel must not feel it."""
    began = time.monotonic()
    cell.rig.second.call("guest-ping", timeout=10)
    cell.within((time.monotonic() - began) * 1000, PING_MS, "a ping on the other channel")


# --- the faults -----------------------------------------------------------------------------------


def close(cell: Cell) -> None:
    cell.rig.host.close()
    wait_limit(cell)


def come_back(cell: Cell) -> None:
    cell.rig.reconnect()


def stop_reading(cell: Cell) -> None:
    host = cell.rig.host
    host.socket.settimeout(0.3)
    try:
        for _ in range(QUESTIONS):
            host.socket.sendall(b'{"execute":"guest-info"}\n')
    except (TimeoutError, socket.timeout):
        pass
    answers_meanwhile(cell)
    wait_limit(cell)


def unplug(cell: Cell) -> None:
    vm = cell.rig.vm
    cell.rig.host.close()
    vm.qmp.execute("device_del", id="p0")
    vm.run("n=0; while test -e /dev/virtio-ports/org.qemu.guest_agent.0; do n=$((n+1)); "
           "[ $n -gt 400 ] && exit 1; sleep 0.02; done", timeout=30)
    answers_meanwhile(cell)
    wait_limit(cell)


def plug_in(cell: Cell) -> None:
    cell.rig.vm.qmp.execute("device_add", driver="virtserialport", chardev="c0", id="p0",
                            name="org.qemu.guest_agent.0")
    come_back(cell)


def pause(cell: Cell) -> None:
    """The guest's clock stands still meanwhile, and the limit counts what the guest ran."""
    cell.rig.vm.qmp.execute("stop")
    time.sleep(PAUSED_SECONDS)
    cell.rig.vm.qmp.execute("cont")
    check(cell.rig.second.call("guest-ping", timeout=10) == {})


def pause_limit(cell: Cell) -> None:
    cell.limit_ms = PAUSED_LIMIT_MS


# Only when the quiesce went on without it: a sync of the host's would cancel a freeze under way.
COMES_BACK = ("leave", "reply", "heal")

FAULTS = [
    Fault("host-closes", "host closes the port", close, AWAY, heal=come_back, arrange=short_limit,
          order=COMES_BACK),
    Fault("host-stops-reading", "host stops reading", stop_reading, AWAY, heal=come_back,
          arrange=short_limit, order=COMES_BACK),
    Fault("port-unplugged", "port unplugged", unplug, AWAY, heal=plug_in, arrange=short_limit,
          order=COMES_BACK),
    Fault("vm-paused", "the VM paused for longer than the limit", pause, wants({}),
          arrange=pause_limit),
]
