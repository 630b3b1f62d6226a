"""Session hooks in a real machine: systemd-notify, systemd, FIFREEZE, and a service that is killed."""

import time

from context import FILESYSTEMS, HOOKS, Machine, check
from markdown import blocks

GROUP = "session"
LOCK = "/run/lock/myapp.lock"


def machine(tree) -> Machine:
    return Machine(tree, name=GROUP)


def locked(m: Machine) -> bool:
    return not m.vm.succeeds(f"flock --nonblock {LOCK} true")


def install(m: Machine, hold: str = "", conf: str = "") -> None:
    """The session hook of the guide, or one whose `hold` ends differently."""
    m.no_hooks()
    script, settings = blocks("docs/hooks.md", "Locks that end with their process")[:2]
    if hold:
        script = script[:script.index("exec ")] + hold + "\n"
    m.vm.put(f"{HOOKS}/50-myapp", script, 0o755)
    m.vm.put(f"{HOOKS}/50-myapp.conf", f"{settings}\n{conf}\n")


def told(m: Machine, reason: str) -> None:
    text = m.host.refused("guest-fsfreeze-thaw")
    check(text.startswith("fsfreeze is limited up to") and reason in text, text)
    check(m.host.call("guest-fsfreeze-thaw") == 0)


def the_guides_hook_holds_its_lock(m: Machine) -> None:
    install(m)
    check(m.host.call("guest-fsfreeze-freeze") == FILESYSTEMS)
    check(locked(m), "frozen without the lock")
    check(m.host.call("guest-fsfreeze-thaw") == FILESYSTEMS)
    check(not locked(m), "thawed with the lock still held")
    report = m.last_report()
    check(report["level"] == "application", str(report))
    steps = next(p["steps"] for p in report["participants"] if p["name"] == "myapp")
    check([s["verb"] for s in steps] == ["hold", "thaw"], str(steps))


def a_lost_lock_reaches_the_host(m: Machine) -> None:
    install(m)
    m.host.call("guest-fsfreeze-freeze")
    m.vm.run("kill -KILL $(pgrep -x flock)")
    deadline = time.monotonic() + 20
    while m.host.call("guest-quiesce-status")["state"] != "lost":
        check(time.monotonic() < deadline, "the loss is not noticed")
        time.sleep(0.1)
    told(m, "myapp: lock lost: ")
    check(m.last_report()["ended-by"] == "participant-lost", str(m.last_report()))


def a_hook_that_hangs_at_the_thaw_is_ended(m: Machine) -> None:
    install(m, f"exec flock {LOCK} sh -c 'systemd-notify --ready; trap \"\" TERM; sleep 1000'",
            "Timeout=8")
    m.host.call("guest-fsfreeze-freeze")
    check(m.host.call("guest-fsfreeze-thaw") == FILESYSTEMS)
    m.vm.wait_until(f"flock --nonblock {LOCK} true", 30, "the lock")


def another_user(m: Machine) -> None:
    """Its word reaches the socket, and it is who it should be."""
    install(m, "id -un >/tmp/whoami; systemd-notify --ready && cat >/dev/null", "User=nobody")
    m.vm.run("rm -f /tmp/whoami")
    check(m.host.call("guest-fsfreeze-freeze") == FILESYSTEMS)
    check(m.host.call("guest-fsfreeze-thaw") == FILESYSTEMS)
    check(m.vm.run("cat /tmp/whoami") == "nobody\n")


def service_killed(m: Machine) -> None:
    """The lock goes with the service, long before anybody looks at a ledger."""
    install(m)
    m.host.call("guest-fsfreeze-freeze")
    check(locked(m))
    m.vm.run("kill -KILL $(pgrep -x quiesced)")
    m.vm.wait_until(f"flock --nonblock {LOCK} true", 20, "the lock")
    time.sleep(1)
    m.host.sync()
    told(m, "the service was restarted")
    m.no_hooks()
    m.host.wait_ready()
    check(m.host.call("guest-fsfreeze-freeze") == FILESYSTEMS)
    check(m.host.call("guest-fsfreeze-thaw") == FILESYSTEMS)


def the_history_outlives_a_restart(m: Machine) -> None:
    before = m.host.call("guest-quiesce-report", {"limit": 2})["operations"]
    m.vm.wait_until(f"grep -q {before[0]['operation']} /var/lib/quiesced/history", 30, "the history")
    m.restart()
    m.host.sync()
    wanted = [report["operation"] for report in before]
    deadline = time.monotonic() + 10  # it is read on the side
    found: list[str] = []
    while found != wanted and time.monotonic() < deadline:
        after = m.host.call("guest-quiesce-report", {"limit": 2})["operations"]
        found = [report["operation"] for report in after]
        time.sleep(0.2)
    check(found == wanted, f"{wanted} {found}")
    check(m.vm.run("stat -c %a /var/lib/quiesced").strip() == "700")


CASES = [the_guides_hook_holds_its_lock, a_lost_lock_reaches_the_host,
         a_hook_that_hangs_at_the_thaw_is_ended, another_user, service_killed,
         the_history_outlives_a_restart]
