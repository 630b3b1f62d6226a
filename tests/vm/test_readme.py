"""README.md and docs/hooks.md as tests: what they tell a reader to do is done, word for word.

The install commands build a copy of this source tree and are the ones that put it into a machine
which has never seen the agent; `sudo` is a program that runs its arguments, and DESTDIR keeps
`make install` out of this machine.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from context import HOOKS, Machine, check
from markdown import TOP, blocks, code_span

GROUP = "readme"
SUDO = '#!/bin/sh\nexec "$@"\n'
NOT_SOURCES = ("build*", ".git", "autom4te.cache", "__pycache__", "configure*~", "configure",
               "aclocal.m4", "Makefile.in")
# A service that shows whether it runs.
SERVICE = """[Service]
ExecStart=/bin/sh -c 'while :; do echo . >>/run/myapp.beats; sleep 0.1; done'
"""


def install_commands() -> tuple[str, str]:
    """Those for where the sources are, and those that need the machine's systemd."""
    lines = next(block for block in blocks("README.md", "Install")
                 if "configure" in block).splitlines()
    systemd = [line for line in lines if "systemctl" in line]
    return "\n".join(line for line in lines if line not in systemd), "\n".join(systemd)


class Reader(Machine):
    """A machine whose owner follows the README; it runs another agent at first."""

    def __init__(self, _tree) -> None:
        super().__init__(None, name=GROUP, mounts=(), disks=(64,))

    def build(self) -> Path:
        source, installed = self.vm.work / "source", self.vm.work / "installed"
        programs = self.vm.work / "bin"
        shutil.copytree(TOP, source, ignore=shutil.ignore_patterns(*NOT_SOURCES))
        programs.mkdir()
        (programs / "sudo").write_text(SUDO)
        (programs / "sudo").chmod(0o755)
        environment = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}", MAKEFLAGS="-j2 -s",
                           DESTDIR=str(installed))
        done = subprocess.run(["sh", "-e", "-c", install_commands()[0]], cwd=source, text=True,
                              env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False)
        check(done.returncode == 0, done.stdout[-3000:])
        return installed

    def begin(self) -> None:
        self.vm.put("/usr/local/bin/sudo", SUDO, 0o755)
        self.vm.run("systemctl unmask qemu-guest-agent && systemctl start qemu-guest-agent")
        subprocess.run(["tar", "-C", str(self.build()), "--owner=root:0", "--group=root:0", "-cf",
                        str(self.vm.disks[0]), "."], check=True)
        self.vm.run("tar -C / -xf /dev/vdc --no-overwrite-dir")
        self.vm.run(code_span("README.md", "systemctl disable"))
        self.vm.run(install_commands()[1])
        self.host = self.connected()
        self.host.wait_ready()


def machine(tree) -> Reader:
    return Reader(tree)


def installed_and_started(m: Reader) -> None:
    check(m.host.call("guest-info")["version"].split()[1:2] == ["(quiesced"], "another agent")
    check(m.vm.run("systemctl is-enabled quiesced.service quiesced-keeper.socket").split() ==
          ["enabled", "enabled"])
    check(not m.vm.succeeds("pgrep -x qemu-ga"), "the other agent still runs")


def the_first_hook(m: Reader) -> None:
    m.vm.put("/usr/bin/myapp-ctl", '#!/bin/sh\necho "$1" >>/run/myapp.log\n', 0o755)
    m.vm.put(f"{HOOKS}/myapp", blocks("README.md", "Your first hook")[0], 0o755)
    check(m.host.call("guest-fsfreeze-freeze") == 1)
    check(m.vm.run("cat /run/myapp.log") == "pause\n")
    check(m.host.call("guest-fsfreeze-thaw") == 1)
    check(m.vm.run("cat /run/myapp.log") == "pause\nresume\n")
    report = m.last_report()
    check(report["level"] == "application", str(report))
    check([p["name"] for p in report["participants"] if p["result"] == "ok"].count("myapp") == 1,
          str(report))
    tried = m.vm.run(blocks("README.md", "Your first hook")[1], timeout=90)
    check("0 errors" in tried and "A rehearsal: everybody took part" in tried, tried)
    check(m.vm.run("cat /run/myapp.log") == "pause\nresume\n" * 2)
    m.no_hooks()


def the_wire_is_as_shown(m: Reader) -> None:
    lines = blocks("README.md", "What the host sees")[0].splitlines()
    check(len(lines) >= 8 and len(lines) % 2 == 0, str(lines))
    for request, reply in zip(lines[::2], lines[1::2]):
        check(request.startswith("> ") and reply.startswith("< "), f"{request} {reply}")
        m.host.send(request[2:].encode() + b"\n")
        got = m.host.line(60).decode()
        check(got == reply[2:], f"{request}\n{got}\nand not\n{reply}")


def the_error_is_as_quoted(m: Reader) -> None:
    m.hook("50-mariadb", '[ "$1" = freeze ] && sleep 60; exit 0')
    text = m.host.refused("guest-fsfreeze-freeze")
    # The time is a measured one: a busy machine is some tenths of a second late.
    exact = re.sub(r"after 1\d\.\d s", "after 10.0 s", text)
    check(exact == code_span("README.md", "quiesce failed"), text)
    m.no_hooks()


def beats(m: Reader) -> int:
    first = m.vm.run("stat -c %s /run/myapp.beats")
    time.sleep(1)
    return int(m.vm.run("stat -c %s /run/myapp.beats")) - int(first)


def beats_again(m: Reader) -> bool:
    """Within a time that a busy machine has, too."""
    return any(beats(m) > 0 for _ in range(15))


def the_hook_of_the_guide(m: Reader) -> None:
    """docs/hooks.md: installed as it says, seen in the plan, tried by hand, used."""
    hook, commands = blocks("docs/hooks.md", "Writing a hook")
    install, on_the_host = commands.splitlines()
    m.vm.put("/etc/systemd/system/myapp.service", SERVICE)
    m.vm.run("systemctl daemon-reload && systemctl start myapp.service")
    m.vm.wait_until("test -s /run/myapp.beats", 10, "the application")
    m.vm.put("/run/50-myapp", hook)
    m.vm.run(install)
    plan = m.host.call(json.loads(re.search("'(.*)'", on_the_host)[1])["execute"])
    check("myapp" in str(plan["participants"]), str(plan))
    tried = m.vm.run(blocks("docs/hooks.md", "Trying it")[0])
    check(tried == "0\n0\n0\n", tried)
    check(beats_again(m), "tried by hand it does not run again")
    check(m.host.call("guest-fsfreeze-freeze") == 1)
    check(beats(m) == 0, "the application runs while frozen")
    check(m.host.call("guest-fsfreeze-thaw") == 1)
    check(beats_again(m), "the application does not run again")
    m.no_hooks()


CASES = [installed_and_started, the_first_hook, the_wire_is_as_shown, the_error_is_as_quoted,
         the_hook_of_the_guide]
