"""Commands that act, in a real machine: what needs a dead server, another user, or an end of it."""

import base64
import hashlib
import time

from context import Machine, check

GROUP = "commands"
MIB = 1 << 20
SUSPEND_SECONDS = 60
USER, OTHER = "trapper", "victim"


def machine(tree) -> Machine:
    return Machine(tree, name=GROUP, mounts=())


def a_large_file_over_the_port(m: Machine) -> None:
    m.vm.run(f"head -c {12 * MIB} /dev/urandom >/run/large")
    handle = m.host.call("guest-file-open", {"path": "/run/large"})
    digest, total, eof = hashlib.sha256(), 0, False
    while not eof:
        reply = m.host.call("guest-file-read", {"handle": handle, "count": 4 * MIB}, timeout=120)
        data = base64.b64decode(reply["buf-b64"])
        digest.update(data)
        total, eof = total + len(data), reply["eof"]
    m.host.call("guest-file-close", {"handle": handle})
    check(total == 12 * MIB, str(total))
    check(digest.hexdigest() == m.vm.run("sha256sum </run/large").split()[0], "other bytes")
    m.vm.run("rm /run/large")


def a_dead_server_holds_up_nobody(m: Machine) -> None:
    m.vm.run("modprobe fuse; mkdir -p /mnt/dead")
    m.vm.spawn("echo $$ >/run/dead.pid; exec python3 /usr/lib/lab/deadfs.py fuse /mnt/dead "
               ">/run/dead.log 2>&1")
    m.vm.wait_until("grep -q mounted /run/dead.log", 20, "the dead server")
    began = time.monotonic()
    text = m.host.refused("guest-file-open", {"path": "/mnt/dead/file"})
    check(9 < time.monotonic() - began < 20, f"{time.monotonic() - began:.1f} s")
    check("does not answer" in text, text)
    check(m.host.call("guest-ping") == {})
    ended = m.host.call("guest-exec", {"path": "/bin/true"})
    check("pid" in ended, str(ended))
    conf = "/etc/quiesced/quiesced.conf.d/dead.conf"
    m.vm.run(f"mkdir -p {conf.rsplit('/', 1)[0]}; ln -s /mnt/dead/file {conf}; "
             "kill -HUP $(pgrep -x quiesced)")
    m.host.call("guest-ping", timeout=8)  # less than the reload may take
    m.vm.wait_until("journalctl -b -u quiesced | grep -q 'not reloaded.*within 10 s'", 25,
                    "the reload that was given up")
    m.vm.run(f"rm {conf}; kill -HUP $(pgrep -x quiesced)")
    m.vm.wait_until("journalctl -b -u quiesced | grep -q 'Configuration reloaded'", 20,
                    "the next one")
    m.vm.run("kill -KILL $(cat /run/dead.pid); umount -l /mnt/dead || true")
    m.restart()


def keys_with_the_rights_of_their_user(m: Machine) -> None:
    """A home whose folder leads into another's: nothing there may be read or written."""
    m.vm.run(f"useradd -m {USER}; useradd -m {OTHER}; "
             f"install -d -m 700 -o {OTHER} -g {OTHER} /home/{OTHER}/.ssh; "
             f"echo 'ssh-a theirs' >/home/{OTHER}/.ssh/authorized_keys; "
             f"ln -s /home/{OTHER}/.ssh /home/{USER}/.ssh")
    trapped = {"username": USER, "keys": ["ssh-ed25519 AAAA trap"]}
    for command, arguments in (("add", trapped), ("remove", trapped),
                               ("get", {"username": USER})):
        check("Permission denied" in m.host.refused(f"guest-ssh-{command}-authorized-keys",
                                                    arguments), command)
    check(m.vm.run(f"cat /home/{OTHER}/.ssh/authorized_keys") == "ssh-a theirs\n")
    m.vm.run(f"rm /home/{USER}/.ssh")
    m.host.call("guest-ssh-add-authorized-keys", trapped)
    check(m.host.call("guest-ssh-get-authorized-keys", {"username": USER}) ==
          {"keys": trapped["keys"]})
    check(m.vm.run(f"stat -c '%a %U:%G' /home/{USER}/.ssh /home/{USER}/.ssh/authorized_keys") ==
          f"700 {USER}:{USER}\n600 {USER}:{USER}\n")


def the_hardware_clock_both_ways(m: Machine) -> None:
    m.host.call("guest-set-time", {"time": 1790000000 * 10**9})
    check(m.vm.run("date -u +%Y-%m-%d").strip() == "2026-09-21")
    m.vm.run("date -u -s 2001-01-01 >/dev/null")
    m.host.call("guest-set-time")
    check(m.vm.run("date -u +%Y-%m-%d").strip() == "2026-09-21", m.vm.run("date -u"))


def suspended_to_memory_and_woken(m: Machine) -> None:
    """No answer when it works; the host sees the suspend, and wakes the machine."""
    m.host.request("guest-suspend-ram")
    deadline = time.monotonic() + SUSPEND_SECONDS
    while m.vm.qmp.execute("query-status")["status"] != "suspended":
        check(time.monotonic() < deadline, "the machine was not suspended")
        time.sleep(0.2)
    check(m.host.buffer == b"", str(m.host.buffer))
    m.vm.qmp.execute("system_wakeup")
    m.host.sync()
    check(m.host.call("guest-ping") == {})
    check(m.host.call("guest-fsfreeze-freeze") == 1)
    check(m.host.call("guest-fsfreeze-thaw") == 1)


def shutdown_while_frozen(m: Machine) -> None:
    assert m.vm.process
    check(m.host.call("guest-fsfreeze-freeze") == 1)
    m.host.request("guest-shutdown", {"mode": "powerdown"})
    m.vm.process.wait(timeout=120)
    check(m.vm.process.returncode == 0, str(m.vm.process.returncode))


CASES = [a_large_file_over_the_port, a_dead_server_holds_up_nobody,
         keys_with_the_rights_of_their_user, the_hardware_clock_both_ways,
         suspended_to_memory_and_woken, shutdown_while_frozen]
