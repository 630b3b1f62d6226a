"""Hooks and applications on D-Bus together, on the real system bus with its policy."""

import json

from context import FILESYSTEMS, Machine, check
from vmlab.host import AgentError

GROUP = "bus"
MANAGER = "org.quiesced /org/quiesced org.quiesced.Manager1"


def machine(tree) -> Machine:
    return Machine(tree, name=GROUP)


class App:
    """A program of vmguest/busapp.c, registered."""

    def __init__(self, m: Machine, name: str, order: int = 50, policy: str = "abort") -> None:
        self.vm, self.name = m.vm, name
        self.vm.run(f"rm -f /run/busapp/{name}*")
        self.vm.spawn(f"exec /usr/lib/lab/busapp {name} {order} {policy}")
        self.vm.wait_until(f"test -e /run/busapp/{name}", 30, f"{name} to be registered")

    def answers(self, verb: str, text: str) -> None:
        self.vm.put(f"/run/busapp/{self.name}-{verb}", text)

    def kill(self) -> None:
        self.vm.run(f"pkill -KILL -f '^/usr/lib/lab/busapp {self.name} '")
        self.wait_end()

    def wait_end(self) -> None:
        """By its name: the command line goes before the fds do, and with them the registration."""
        self.vm.wait_until("! pgrep -x busapp", 20, "its end")

    def __enter__(self) -> "App":
        return self

    def __exit__(self, *_exception) -> None:
        self.vm.run(f"pkill -KILL -f '^/usr/lib/lab/busapp {self.name} '; "
                    f"rm -f /run/busapp/{self.name}* /run/hook.log", check=False)
        self.wait_end()


def people_are_told_the_same(m: Machine) -> dict:
    """What quiescectl shows is the host's report; its newest operation."""
    report = m.last_report()
    shown = json.loads(m.vm.run(f"quiescectl show --json {report['operation']}"))
    check(shown == report, f"{shown} {report}")
    return report


def step(report: dict, name: str, verb: str) -> dict:
    participant = next(one for one in report["participants"] if one["name"] == name)
    return next(one for one in participant["steps"] if one["verb"] == verb)


def asking_starts_the_service(m: Machine) -> None:
    m.vm.run("systemctl stop quiesced.service")
    out = m.vm.run(f"busctl call {MANAGER} Status")
    check("thawed" in out, out)
    check(m.vm.run("systemctl is-active quiesced.service").strip() == "active")
    m.host = m.connected()
    m.host.wait_ready()


def who_is_not_root_may_only_look(m: Machine) -> None:
    other = "setpriv --reuid=65534 --regid=65534 --clear-groups busctl"
    check("thawed" in m.vm.run(f"{other} get-property {MANAGER} State"))
    for call in ("Freeze 'a{sv}' 0", "Thaw 'a{sv}' 0", "Register 'soa{sv}' mine / 0"):
        out = m.vm.run(f"{other} call {MANAGER} {call} 2>&1", check=False)
        check("Access denied" in out, out)


def together_in_one_order(m: Machine) -> None:
    """A script, one that stays and holds a lock, an application, and another script."""
    m.no_hooks()
    m.hook("20-first")
    m.hook("30-lock", '[ "$1" = hold ] || exit 0\n'
           "exec flock /run/lock/app.lock sh -c 'systemd-notify --ready && cat >/dev/null'",
           "Type=session")
    m.hook("60-last")
    with App(m, "middle", 40):
        check(m.host.call("guest-fsfreeze-freeze") == FILESYSTEMS)
        check(not m.vm.succeeds("flock -n /run/lock/app.lock true"), "the lock is not held")
        status = m.host.call("guest-quiesce-status")
        check(status["level"] == "application", str(status))
        check(m.host.call("guest-fsfreeze-thaw") == FILESYSTEMS)
        check(m.vm.succeeds("flock -n /run/lock/app.lock true"), "the lock is held on")
        calls = m.hook_log()
        check(calls == ["20-first prepare", "middle prepare", "60-last prepare", "20-first freeze",
                        "30-lock hold", "middle freeze", "60-last freeze", "60-last thaw",
                        "middle thaw", "20-first thaw"], str(calls))
        report = people_are_told_the_same(m)
        kinds = {one["name"]: one["kind"] for one in report["participants"]}
        check(kinds.pop("postgresql") == "hook", str(report))  # the ready-made one
        check(kinds == {"first": "hook", "lock": "session-hook", "middle": "dbus", "last": "hook"},
              str(report))
    m.no_hooks()


def a_refusal_reaches_the_host(m: Machine) -> None:
    m.hook("20-first")
    with App(m, "app") as app:
        app.answers("freeze", "import is running")
        check(m.host.refused("guest-fsfreeze-freeze") == "quiesce failed: app: freeze: import is running")
        check(m.hook_log()[-2:] == ["app abort", "20-first abort"], str(m.hook_log()))
        check(step(people_are_told_the_same(m), "app", "freeze")["result"] == "refused")
    m.no_hooks()


def no_answer_is_a_time_out(m: Machine) -> None:
    with App(m, "app") as app:
        app.answers("freeze", "hang")
        error = m.host.refused("guest-fsfreeze-freeze")
        check(error.startswith("quiesce failed: app: freeze: timed out after "), error)
        check(m.hook_log()[-1] == "app abort", str(m.hook_log()))
        check(step(people_are_told_the_same(m), "app", "freeze")["result"] == "timed-out")


def death_while_asked_fails_the_freeze(m: Machine) -> None:
    with App(m, "app") as app:
        app.answers("freeze", "hang")
        m.host.request("guest-fsfreeze-freeze")
        m.vm.wait_until("grep -q 'app freeze' /run/hook.log", 10, "the call")
        app.kill()
        try:
            m.host.reply()
            raise AssertionError("the freeze went through")
        except AgentError as error:
            check("app: freeze: " in error.desc and "before it answered" in error.desc, error.desc)


def a_lost_hold_is_told_once(m: Machine) -> None:
    with App(m, "app") as app:
        m.host.call("guest-fsfreeze-freeze")
        app.kill()
        m.vm.wait_until("busctl get-property " + MANAGER + " State | grep -q lost", 10, "the loss")
        check(m.frozen("/srv/ext4"), "filesystems stay frozen until the thaw")
        error = m.host.refused("guest-fsfreeze-thaw")
        check("fsfreeze is limited" in error and "app: lock lost" in error, error)
        check(m.host.call("guest-fsfreeze-thaw") == 0)
        report = people_are_told_the_same(m)
        check(report["ended-by"] == "participant-lost", str(report))


def a_killed_service_hangs_up(m: Machine) -> None:
    with App(m, "app"):
        m.host.call("guest-fsfreeze-freeze")
        m.vm.run("pkill -KILL -x quiesced")
        m.vm.wait_until("grep -q 'app hang-up' /run/hook.log", 10, "the hang-up")
        m.host = m.connected()
        m.host.wait_ready()
        error = m.host.refused("guest-fsfreeze-thaw")
        check("the service was restarted" in error, error)


def a_bus_that_restarts_while_frozen(m: Machine) -> None:
    with App(m, "app"):
        m.host.call("guest-fsfreeze-freeze-list", {"mountpoints": ["/srv/ext4"]})
        m.vm.run("pkill -KILL -x dbus-daemon")
        m.vm.wait_until(f"timeout 5 busctl get-property {MANAGER} State | grep -q frozen", 30,
                        "the name on the new bus")
        check(m.host.call("guest-quiesce-status")["level"] == "application")
        check(m.host.call("guest-fsfreeze-thaw") == 1)
        m.vm.wait_until("grep -q 'app hang-up' /run/hook.log", 10, "the hang-up")
        check(m.last_report()["result"] == "ok")


CASES = (
    asking_starts_the_service,
    who_is_not_root_may_only_look,
    together_in_one_order,
    a_refusal_reaches_the_host,
    no_answer_is_a_time_out,
    death_while_asked_fails_the_freeze,
    a_lost_hold_is_told_once,
    a_killed_service_hangs_up,
    a_bus_that_restarts_while_frozen,
)
