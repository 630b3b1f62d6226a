"""Every way to reach the agent, in a real machine: serial line, vsock, socket activation, two ports."""

import json
from pathlib import Path

from context import FILESYSTEMS, Machine, check
from vmlab.host import AgentHost
from vmlab.machine import GuestError

GROUP = "channels"
CONF = "/etc/quiesced/quiesced.conf.d/channels.conf"
PORT = "[channel default]\nmethod=virtio-serial\npath=/dev/virtio-ports/org.qemu.guest_agent.0\n"

# Speaks to an address inside the guest, where the host has no way of its own.
CLIENT = '''
import json, socket, sys
family, address = (socket.AF_VSOCK, (1, int(sys.argv[2]))) if "vsock" in sys.argv[1] \\
    else (socket.AF_UNIX, sys.argv[2])
peer = socket.socket(family, socket.SOCK_STREAM)
peer.settimeout(20)
if family == socket.AF_VSOCK and sys.argv[1] == "vsock":
    peer.bind((0xffffffff, 999))
peer.connect(address)
lines = peer.makefile("rb")
for request in sys.argv[3:]:
    peer.sendall(json.dumps({"execute": request}).encode() + b"\\n")
    print(lines.readline().decode(), end="")
'''


def machine(tree) -> Machine:
    return Machine(tree, name=GROUP, serial=True)


def ask(m: Machine, kind: str, address: str, *requests: str) -> list[dict]:
    out = m.vm.run(f"python3 /run/client.py {kind} {address} {' '.join(requests)}")
    return [json.loads(line) for line in out.splitlines()]


def configured(m: Machine, text: str) -> None:
    m.vm.put("/run/client.py", CLIENT)
    m.vm.run("mkdir -p /etc/quiesced/quiesced.conf.d")
    m.vm.put(CONF, PORT + text)
    m.restart()


def over_a_serial_line(m: Machine) -> None:
    m.vm.run("stty -F /dev/ttyS1 -a >/dev/null")
    configured(m, "[channel serial]\nmethod=isa-serial\npath=/dev/ttyS1\n")
    host = AgentHost(Path(m.vm.work) / "serial")
    host.sync()
    check(host.call("guest-ping") == {})
    check(host.call("guest-fsfreeze-freeze") == FILESYSTEMS)
    check(m.host.call("guest-fsfreeze-status") == "frozen")
    check(host.call("guest-fsfreeze-thaw") == FILESYSTEMS)
    # The line has no hang-up: a host that comes and goes in the middle of a request harms nobody.
    host.send(b'{"execute":"guest-pi')
    host.close()
    again = AgentHost(Path(m.vm.work) / "serial")
    again.send(b"\xff")
    again.sync()
    again.close()


def over_vsock(m: Machine) -> None:
    m.vm.run("modprobe vsock_loopback")
    configured(m, "[channel sock]\nmethod=vsock-listen\npath=any:4711\n")
    replies = ask(m, "vsock", "4711", "guest-ping", "guest-fsfreeze-freeze",
                  "guest-fsfreeze-status", "guest-fsfreeze-thaw")
    check([r["return"] for r in replies] == [{}, FILESYSTEMS, "frozen", FILESYSTEMS], str(replies))
    # From inside the machine only root's ports count.
    try:
        check(not ask(m, "vsock-unprivileged", "4711", "guest-ping"), "answered")
    except GuestError:
        pass


def by_socket_activation(m: Machine) -> None:
    m.vm.put("/etc/systemd/system/quiesced.socket",
             "[Socket]\nListenStream=/run/quiesced-test.sock\n")
    m.vm.run("systemctl stop quiesced.service; systemctl daemon-reload; "
             "systemctl start quiesced.socket")
    replies = ask(m, "unix", "/run/quiesced-test.sock", "guest-ping", "guest-fsfreeze-freeze",
                  "guest-fsfreeze-thaw")
    check([r["return"] for r in replies] == [{}, FILESYSTEMS, FILESYSTEMS], str(replies))
    m.vm.run("systemctl stop quiesced.socket quiesced.service; "
             f"rm -f /etc/systemd/system/quiesced.socket {CONF}; systemctl daemon-reload; "
             "systemctl start quiesced.service")
    m.host.wait_ready()


def an_observer_sees_and_may_not_freeze(m: Machine) -> None:
    configured(m, "[channel watch]\nmethod=unix-listen\npath=/run/watch.sock\ncommands=observe\n")
    m.host.call("guest-fsfreeze-freeze")
    replies = ask(m, "unix", "/run/watch.sock", "guest-fsfreeze-status", "guest-fsfreeze-thaw",
                  "guest-quiesce-status")
    check(replies[0] == {"return": "frozen"} and replies[2]["return"]["state"] == "frozen",
          str(replies))
    check("commands=observe" in replies[1]["error"]["desc"], str(replies))
    check(m.host.call("guest-fsfreeze-thaw") == FILESYSTEMS)
    m.vm.run(f"rm -f {CONF}")
    m.restart()


CASES = [over_a_serial_line, over_vsock, by_socket_activation, an_observer_sees_and_may_not_freeze]
