"""What holds up a freeze in a real machine: told beforehand, named, and outlived."""

import re
import time

from context import FILESYSTEMS, Machine, check
from test_faults import next_freeze_works, told_once
from vmlab.host import AgentError

GROUP = "warnings"
# Until the shell waits for the permission to open, or the program in splice(): calls of x86-64.
IN_OPEN = ["/usr/lib/lab/labtool", "waitcall", "sh", "257", "20000"]
IN_SPLICE = ["/usr/lib/lab/labtool", "waitcall", "splicer", "275", "20000"]


def machine(tree) -> Machine:
    return Machine(tree, name=GROUP)


class HoldUp:
    """A program of vmguest/holdup.c, from when it is there until it is gone."""

    def __init__(self, m: Machine, name: str, arguments: str) -> None:
        self.vm, self.name, self.arguments = m.vm, name, arguments

    def __enter__(self) -> "HoldUp":
        self.vm.run(f"rm -f /run/holdup-{self.name}")
        self.vm.spawn(f"exec /usr/lib/lab/holdup {self.arguments}")
        self.vm.wait_until(f"test -e /run/holdup-{self.name}", 10, self.name)
        if self.name == "splicer":
            self.vm.run(IN_SPLICE)
        self.pid = int(self.vm.run(f"pgrep -x {self.name}"))
        return self

    def end(self) -> None:
        self.vm.run(f"pkill -KILL -x {self.name}", check=False)
        self.vm.wait_until(f"! pgrep -x {self.name}", 10, f"the end of {self.name}")

    def __exit__(self, *_exception) -> None:
        self.end()


def fails(m: Machine) -> str:
    """The error of a freeze that hangs for 5 s."""
    began = time.monotonic()
    try:
        m.host.call("guest-fsfreeze-freeze")
    except AgentError as error:
        took = time.monotonic() - began
        print(f"# after {took:.1f} s: {error.desc}")
        check(5 <= took < 20, f"took {took:.1f} s")
        return error.desc
    raise AssertionError("the freeze went through")


def writable(m: Machine, mountpoint: str) -> None:
    m.vm.wait_until(f"timeout 5 sh -c 'echo x >>{mountpoint}/probe'", 10, f"{mountpoint} to thaw")


def others_run_again(m: Machine, writers, stuck: str) -> None:
    """Everything but `stuck` was thawed when the error came, after little more than 5 s."""
    held = {one["mountpoint"]: one["frozen-ms"] for one in m.last_report()["filesystems"]
            if one["mountpoint"] != f"/srv/{stuck}"}
    print(f"# frozen meanwhile, in ms: {held}")
    check(len(held) == FILESYSTEMS - 1 and max(held.values()) < 9500, str(held))
    writers.go_on(but=stuck)
    writable(m, "/root")


def thawed_when_it_completed(m: Machine, mountpoint: str) -> None:
    """The filesystem that was stuck can be written to; it was frozen for an instant only."""
    writable(m, mountpoint)
    m.host.wait_ready()
    m.hook_log()  # waits for what is still being released
    result = {one["mountpoint"]: one for one in m.last_report()["filesystems"]}[mountpoint]
    print(f"# {mountpoint}: FIFREEZE took {result['freeze-ms']} ms, thawed "
          f"{result['frozen-ms']} ms after that")
    check(result["result"] == "failed" and "held up by" in result["reason"], str(result))
    # 100 ms, and what it takes until a busy machine's service hears of it; the matrix has the bound.
    check(result["frozen-ms"] <= 3000, str(result))


def stuck_behind_a_splice(m: Machine) -> None:
    with m.writers() as writers, HoldUp(m, "splicer", "splice /srv/ext4/spliced") as holder:
        text = fails(m)
        # The writer on it waits for the thaw: it is a victim and must not be named.
        check(re.fullmatch(r"quiesce failed: /srv/ext4: filesystem: FIFREEZE still in the kernel "
                           rf"after [5-8]\.\d s, held up by splicer \(pid {holder.pid}, in splice\)",
                           text), text)
        others_run_again(m, writers, "ext4")
        check(m.frozen("/srv/ext4"), "the splice did not hold anything up")
        holder.end()
        thawed_when_it_completed(m, "/srv/ext4")
    next_freeze_works(m)


def listener_that_never_answers(m: Machine) -> None:
    m.vm.run("echo x >/srv/ext4/opened")
    with m.writers() as writers, \
            HoldUp(m, "permitter", "permit /srv/ext4 /srv/xfs/answers never") as holder:
        warnings = m.host.call("guest-quiesce-plan")["warnings"]
        found = {one["subject"]: one["text"] for one in warnings
                 if one["code"] == "fanotify-listener"}
        check(f"permitter (pid {holder.pid}) answers fanotify permission events and has files "
              "open for writing here" in found.get("/srv/xfs", ""), str(warnings))
        m.vm.spawn("exec : >/srv/ext4/opened")
        m.vm.run(IN_OPEN)
        text = fails(m)
        check(re.search(r"/srv/ext4: filesystem: FIFREEZE still in the kernel after [5-8]\.", text) and
              f"held up by permitter (pid {holder.pid}, fanotify permission listener)" in text,
              text)
        others_run_again(m, writers, "ext4")
        holder.end()
        thawed_when_it_completed(m, "/srv/ext4")
    codes = [one["code"] for one in m.host.call("guest-quiesce-plan")["warnings"]]
    check("fanotify-listener" not in codes, str(codes))
    next_freeze_works(m)


def listener_that_logs_to_what_is_frozen(m: Machine) -> None:
    """It answers once its log is thawed, so that the thaw of the others frees everything."""
    m.vm.run("echo x >/srv/ext4/opened")
    with HoldUp(m, "permitter", "permit /srv/ext4 /srv/xfs/answers 5"):
        m.vm.spawn("exec : >/srv/ext4/opened")
        m.vm.run(IN_OPEN)
        text = fails(m)
        check("held up by permitter" in text, text)
        m.vm.wait_until("test ! -s /srv/ext4/opened", 10, "the open to be permitted")
    thawed_when_it_completed(m, "/srv/ext4")
    next_freeze_works(m)


def limit_stays_below_a_panic(m: Machine) -> None:
    m.vm.run("sysctl -q kernel.hung_task_timeout_secs=20 kernel.hung_task_panic=1")
    try:
        plan = m.host.call("guest-quiesce-plan")
        check(plan["frozen-limit-ms"] == 10000, str(plan))
        check("frozen-limit-capped" in [one["code"] for one in plan["warnings"]], str(plan))
        with m.writers():
            check(m.host.call("guest-fsfreeze-freeze") == FILESYSTEMS)
            time.sleep(12)
            writable(m, "/srv/ext4")
        told_once(m, "the frozen limit passed")
    finally:
        m.vm.run("sysctl -q kernel.hung_task_panic=0 kernel.hung_task_timeout_secs=120")
    next_freeze_works(m)


CASES = [stuck_behind_a_splice, listener_that_never_answers, listener_that_logs_to_what_is_frozen,
         limit_stays_below_a_panic]
