"""What hurts a freeze: told in the plan beforehand, and named when a freeze hangs."""

import os
import time
import unittest
from pathlib import Path

import tap
from testbed import AgentError, Testbed, wait_for

SDEV_B = "fa00001"  # 250:1, as the kernel writes it


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def add_listener(bed: Testbed, pid: int, name: str, fds: dict[int, tuple[str, str]]) -> None:
    """A process that must permit opens on filesystem b; `fds`: path and fdinfo of its files."""
    process = bed.root / "proc" / str(pid)
    put(process / "comm", name + "\n")
    put(process / "mountinfo", (bed.root / "mountinfo").read_text())
    mark = f"fanotify sdev:{SDEV_B} mflags:0 mask:10000 ignored_mask:0\n"
    group = ("anon_inode:[fanotify]", "flags:\t02\nmnt_id:\t15\nfanotify flags:4\n" + mark)
    for fd, (target, info) in {**fds, 90: group}.items():
        put(process / "fdinfo" / str(fd), info)
        (process / "fd").mkdir(exist_ok=True)
        os.symlink(target, process / "fd" / str(fd))


class Warnings(unittest.TestCase):
    """One service per case, with an invented /proc."""

    def bed(self, **options) -> Testbed:
        bed = Testbed(**options)
        self.addCleanup(bed.__exit__)
        return bed

    def stuck(self, bed: Testbed, command: str = "guest-fsfreeze-freeze", **arguments) -> str:
        """The error of a freeze in which b hangs, and in `took` its seconds; then lets go of b."""
        bed.inject("b", "freeze hang")
        bed.start()
        host = bed.host()
        began = time.monotonic()
        with self.assertRaises(AgentError) as caught:
            host.call(command, **arguments)
        self.took = time.monotonic() - began
        wait_for(lambda: not bed.frozen("a"), 20, "the rollback", bed)
        (bed.directory("b") / ".release").touch()
        wait_for(lambda: "freeze" in bed.calls("b") and not bed.anything_frozen(), 3,
                 "the stuck one to be thawed", bed)
        return caught.exception.desc

    def codes(self, host, **arguments) -> dict[str, dict]:
        plan = host.call("guest-quiesce-plan", **arguments)
        self.assertFalse(plan["truncated"])
        return {warning["code"]: warning for warning in plan["warnings"]}

    def test_a_stuck_freeze_names_the_process_that_holds_it_up(self) -> None:
        bed = self.bed()
        add_listener(bed, 812, "clamonacc", {})
        text = self.stuck(bed)
        self.assertLess(self.took, 8.5)
        self.assertRegex(text, f"^quiesce failed: {bed.directory('b')}: filesystem: FIFREEZE still "
                         r"in the kernel after [5-9]\.\d s, held up by clamonacc \(pid 812, "
                         r"fanotify permission listener\)$")
        report = bed.host().call("guest-quiesce-report")["operations"][0]
        result = {one["mountpoint"]: one for one in report["filesystems"]}[str(bed.directory("b"))]
        self.assertEqual(result["result"], "failed")
        self.assertIn("held up by clamonacc", result["reason"])

    def test_where_the_host_waits_less_it_is_named_in_time(self) -> None:
        bed = self.bed(profile="kubevirt")
        add_listener(bed, 812, "clamonacc", {})
        text = self.stuck(bed)
        self.assertLess(self.took, 4.5)
        self.assertIn(f"{bed.directory('b')}: budget: FIFREEZE still in the kernel after ", text)
        self.assertIn("held up by clamonacc (pid 812, ", text)
        self.assertIn("the host waits only 4.0 s", text)

    def test_a_limit_that_passes_first_names_it_too(self) -> None:
        bed = self.bed()
        add_listener(bed, 812, "clamonacc", {})
        text = self.stuck(bed, "guest-quiesce-freeze", frozen_limit_ms=1500)
        self.assertLess(self.took, 4.5)
        self.assertRegex(text, r"b: filesystem: FIFREEZE still in the kernel after [1-9]\.\d s, "
                         r"held up by clamonacc \(pid 812, ")

    def test_nobody_is_named_without_a_reason(self) -> None:
        bed = self.bed()
        put(bed.root / "proc/812/comm", "bystander\n")
        self.assertRegex(self.stuck(bed), r"FIFREEZE still in the kernel after [5-9]\.\d s$")

    def test_plan_warns_of_a_listener_whose_files_are_frozen(self) -> None:
        bed = self.bed()
        log = str(bed.directory("a") / "scan.log")
        add_listener(bed, 812, "clamonacc", {5: (log, "flags:\t0102001\nmnt_id:\t30\n")})
        bed.start()
        host = bed.host()
        warning = self.codes(host)["fanotify-listener"]
        self.assertEqual(warning["subject"], str(bed.directory("a")))
        self.assertIn("clamonacc (pid 812) answers fanotify permission events and has files open "
                      "for writing here", warning["text"])
        self.assertEqual(self.codes(host, mountpoints=[str(bed.directory("b"))]), {})

    def test_plan_warns_of_the_agents_own_log(self) -> None:
        bed = self.bed()
        (bed.root / "proc/self/fd").mkdir(parents=True)
        os.symlink(bed.directory("a") / "agent.log", bed.root / "proc/self/fd/2")
        bed.start()
        host = bed.host()
        warning = self.codes(host)["log-on-filesystem"]
        self.assertEqual(warning["subject"], str(bed.directory("a")))
        self.assertIn("the agent's own log, ", warning["text"])
        self.assertEqual(self.codes(host, mountpoints=[str(bed.directory("b"))]), {})

    def test_plan_warns_of_a_large_dirty_set(self) -> None:
        bed = self.bed()
        put(bed.root / "proc/meminfo", "Dirty: 2097152 kB\nWriteback: 0 kB\n")
        bed.start()
        host = bed.host()
        self.assertIn("2048 MiB wait to be written to disk, which takes about 51.2 s",
                      self.codes(host)["large-dirty-set"]["text"])
        plan = host.call("guest-quiesce-plan")
        self.assertEqual((plan["dirty-bytes"], plan["estimated-flush-ms"]), (2 << 30, 51200))

    def test_the_limit_stays_below_what_the_kernel_panics_on(self) -> None:
        bed = self.bed()
        put(bed.root / "proc/sys/kernel/hung_task_panic", "1\n")
        put(bed.root / "proc/sys/kernel/hung_task_timeout_secs", "120\n")
        bed.start()
        host = bed.host()
        self.assertIn("105.0 s instead of 300.0 s", self.codes(host)["frozen-limit-capped"]["text"])
        self.assertEqual(host.call("guest-quiesce-plan")["frozen-limit-ms"], 105000)
        self.assertEqual(host.call("guest-quiesce-status")["frozen-limit-ms"], 105000)
        answer = host.call("guest-quiesce-freeze", frozen_limit_ms=200000)
        self.assertEqual(answer["frozen-limit-ms"], 105000)
        self.assertLessEqual(host.call("guest-quiesce-status")["frozen-left-ms"], 105000)
        host.call("guest-fsfreeze-thaw")


if __name__ == "__main__":
    tap.main()
