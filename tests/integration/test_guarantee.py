"""Nothing stays frozen, and no thaw says so that is not: deaths, hangs and failing FITHAWs."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import tap
from testbed import SERVICE, AgentError, Served, wait_for


class Guarantee(Served):
    """One service per case; every case ends with a freeze and a thaw that work."""

    def works(self, host=None) -> None:
        host = host or self.host
        wait_for(lambda: host.call("guest-quiesce-status")["ready"], 10, "a keeper", self.bed)
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 2)
        self.assertFalse(self.bed.anything_frozen())

    def keepers(self) -> list[int]:
        assert self.bed.process
        # Until it ends, the thread that started it is the parent.
        tasks = Path(f"/proc/{self.bed.process.pid}/task")
        found: list[int] = []

        def look() -> bool:
            # A thread that ended meanwhile has left its children to another one.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found[:] = [int(pid) for children in tasks.glob("*/children")
                            for pid in children.read_text().split()]
            return bool(found)

        wait_for(look, 5, "a child", self.bed)
        return found

    def test_a_thaw_that_fails_is_no_success(self) -> None:
        self.host.call("guest-fsfreeze-freeze")
        self.bed.inject("b", "thaw EIO")
        text = self.refused("guest-fsfreeze-thaw")
        self.assertRegex(text, r"^quiesce failed: .*/fs/b: filesystem: not thawed yet.*Input/output")
        self.assertEqual(self.host.call("guest-fsfreeze-status"), "frozen")
        self.assertIn("not thawed yet", self.refused("guest-fsfreeze-thaw"))
        self.assertIn("still being released", self.freeze_within(0.5))
        self.bed.inject("b", "")
        wait_for(lambda: not self.bed.anything_frozen(), 5, "the repeated FITHAW", self.bed)
        wait_for(lambda: self.host.call("guest-fsfreeze-status") == "thawed", 5, "status", self.bed)
        report = self.host.call("guest-quiesce-report", limit=9)["operations"]
        self.assertTrue(any("not thawed yet" in r.get("error", "") for r in report), report)
        self.works()

    def freeze_within(self, seconds: float) -> str:
        with self.assertRaises(AgentError) as caught:
            self.host.call("guest-quiesce-freeze", budget_ms=int(seconds * 1000))
        return caught.exception.desc

    def test_a_thaw_that_hangs_is_no_success(self) -> None:
        self.host.call("guest-fsfreeze-freeze")
        self.bed.inject("b", "thaw hang")
        self.assertIn("FITHAW is still in the kernel", self.refused("guest-fsfreeze-thaw"))
        self.assertFalse(self.bed.frozen("a"))
        self.bed.inject("b", "")
        (self.bed.directory("b") / ".release").touch()
        wait_for(lambda: not self.bed.anything_frozen(), 5, "the FITHAW's end", self.bed)
        self.works()

    def begin_stuck_freeze(self) -> None:
        self.bed.inject("b", "freeze hang")
        self.host.request("guest-fsfreeze-freeze")
        wait_for(lambda: self.bed.frozen("a"), 5, "the other filesystem", self.bed)

    def test_a_stopped_keeper_is_killed_and_what_it_begins_late_is_thawed(self) -> None:
        self.host.call("guest-fsfreeze-freeze")
        began = time.monotonic()
        os.kill(self.keepers()[0], signal.SIGSTOP)
        wait_for(lambda: not self.bed.anything_frozen(), 8, "the thaw without it", self.bed)
        self.assertLess(time.monotonic() - began, 10)  # its silence is noticed after 5 s
        self.assertIn("fsfreeze is limited", self.refused("guest-fsfreeze-thaw"))
        self.works()

    def test_keeper_killed_with_a_freeze_in_flight(self) -> None:
        self.begin_stuck_freeze()
        keeper = self.keepers()[0]
        began = time.monotonic()
        os.kill(keeper, signal.SIGKILL)
        self.assertIn("error", self.host.reply())
        wait_for(lambda: not self.bed.anything_frozen(), 2, "the others' thaw", self.bed)
        self.assertLess(time.monotonic() - began, 4.5)  # silence is noticed only after 5 s
        self.bed.inject("b", "")
        self.works()

    def kill_both(self) -> None:
        """Neither may have the time to thaw when the other is gone."""
        assert self.bed.process
        keepers = self.keepers()
        self.bed.process.send_signal(signal.SIGSTOP)
        for pid in keepers:
            os.kill(pid, signal.SIGKILL)
        self.bed.kill()

    @staticmethod
    def kill_if_there(pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def recover(self) -> subprocess.CompletedProcess:
        return subprocess.run([SERVICE, "--recover"], env=self.bed.environment(), timeout=20, check=False,
                              capture_output=True, text=True)

    def test_both_killed_is_recovered_without_a_service(self) -> None:
        self.bed.hook("10-app")
        self.host.call("guest-fsfreeze-freeze")
        self.kill_both()
        self.assertTrue(self.bed.anything_frozen())
        began = time.monotonic()
        result = self.recover()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertFalse(self.bed.anything_frozen())
        self.assertEqual(self.bed.hook_log()[-1], "10-app abort")
        print(f"# recovered in {(time.monotonic() - began) * 1000:.0f} ms")
        self.serve()
        self.assertIn("fsfreeze is limited", self.refused("guest-fsfreeze-thaw"))
        self.assertEqual(self.host.call("guest-fsfreeze-thaw"), 0)
        self.assertEqual(self.bed.hook_log().count("10-app abort"), 1)
        self.works()

    def test_recovery_leaves_what_is_mounted_nowhere_to_the_next_start(self) -> None:
        self.bed.hook("10-app")
        self.host.call("guest-fsfreeze-freeze")
        self.kill_both()
        here = self.bed.directory("b")
        away = here.rename(self.bed.root / "away")
        began = time.monotonic()
        self.assertEqual(self.recover().returncode, 1)
        self.assertLess(time.monotonic() - began, 7)  # RECOVER_US of agent/agent.c is 8 s
        self.assertFalse(self.bed.frozen("a"))
        self.assertEqual(self.bed.hook_log()[-1], "10-app abort")
        away.rename(here)
        self.assertTrue(self.bed.frozen("b"))
        self.serve()
        wait_for(lambda: not self.bed.anything_frozen(), 5, "the next start's thaw", self.bed)
        self.assertIn("fsfreeze is limited", self.refused("guest-fsfreeze-thaw"))
        self.assertEqual(self.bed.hook_log().count("10-app abort"), 1)
        self.works()

    def test_a_start_that_fails_recovers_first(self) -> None:
        """Nothing that a channel needs is needed for a thaw."""
        self.bed.hook("10-app")
        self.host.call("guest-fsfreeze-freeze")
        self.kill_both()
        config = self.bed.root / "quiesced.conf"
        good = config.read_text()
        config.write_text(good.replace(str(self.bed.socket), str(self.bed.root / "missing/sock")))
        result = subprocess.run([SERVICE], env=self.bed.environment(), timeout=30, check=False,
                                capture_output=True, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertIn("missing/sock", result.stderr)
        self.assertFalse(self.bed.anything_frozen())
        self.assertEqual(self.bed.hook_log()[-1], "10-app abort")
        config.write_text(good)
        self.serve()
        self.assertIn("fsfreeze is limited", self.refused("guest-fsfreeze-thaw"))
        self.works()

    def serve_with_log(self) -> Path:
        """A start with its log on what is frozen. A pipe stands for it: it cannot be opened before somebody reads."""
        log = self.bed.directory("a") / "log"
        os.mkfifo(log)
        self.bed.process = subprocess.Popen(
            [self.bed.program("qemu-ga"), "-l", str(log), "-m", "unix-listen",
             "-p", str(self.bed.socket)], env=self.bed.environment(), stderr=self.bed.log)
        return log

    def served_with_log(self, log: Path, seconds: float) -> None:
        with open(os.open(log, os.O_RDONLY | os.O_NONBLOCK), "rb"):
            wait_for(self.bed.reachable, seconds, "the service", self.bed)
            self.host = self.bed.host()
            self.assertIn("fsfreeze is limited", self.refused("guest-fsfreeze-thaw"))
            self.works()
            self.host.close()
            self.assertEqual(self.bed.stop(), 0)

    def test_a_log_on_what_is_frozen_does_not_keep_it_frozen(self) -> None:
        self.bed.hook("10-app")
        self.host.call("guest-fsfreeze-freeze")
        self.kill_both()
        log = self.serve_with_log()
        wait_for(lambda: not self.bed.anything_frozen(), 5, "the thaw by the start", self.bed)
        wait_for(lambda: self.bed.hook_log()[-1] == "10-app abort", 5, "the abort", self.bed)
        self.served_with_log(log, 10)

    def test_a_start_goes_on_when_what_releases_for_it_stands(self) -> None:
        self.host.call("guest-fsfreeze-freeze")
        self.kill_both()
        self.bed.inject("b", "thaw hang")
        started = time.monotonic()
        log = self.serve_with_log()
        wait_for(lambda: not self.bed.frozen("a"), 5, "the thaw of the other", self.bed)
        child = self.keepers()[0]
        self.addCleanup(self.kill_if_there, child)
        os.kill(child, signal.SIGSTOP)
        wait_for(lambda: not Path(f"/proc/{child}").exists(), 10 + 5, "the end of the child", self.bed)
        self.assertGreater(time.monotonic() - started, 9.9)  # EARLY_US of agent/early.h
        self.assertTrue(self.bed.frozen("b"))
        self.bed.inject("b", "")
        self.served_with_log(log, 10)

    def lost_ledger(self, names: list[str]) -> None:
        """Both die, the ledger is of another version, and the service manager has two fds by these names."""
        fds = [os.open(self.bed.directory(name), os.O_RDONLY | os.O_DIRECTORY) for name in "ab"]
        for fd in fds:
            self.addCleanup(os.close, fd)
        self.bed.hook("10-app")
        self.host.call("guest-fsfreeze-freeze")
        self.kill_both()
        (self.bed.root / "run/ledger").write_bytes(b"of another version" * 100)
        self.assertEqual(self.recover().returncode, 0)  # as ExecStopPost=, which gets no fds
        self.assertTrue(self.bed.frozen("a") and self.bed.frozen("b"))
        self.bed.start_with(list(zip(names, fds)))
        self.host = self.bed.host()
        wait_for(lambda: not self.bed.anything_frozen(), 5, "the thaw by fds", self.bed)
        self.assertIn("The ledger is lost", self.bed.log_text())
        self.assertRegex(self.refused("guest-fsfreeze-thaw"), "fsfreeze is limited.*the service was restarted and its ledger is lost; released after")
        operation = self.host.call("guest-quiesce-report")["operations"][0]
        self.assertEqual((operation["result"], operation["channel"]), ("lost", "unknown"))
        self.assertEqual({entry["mountpoint"] for entry in operation["filesystems"] if entry["result"] == "frozen"},
                         {str(self.bed.directory(name)) for name in "ab"})
        self.assertEqual(self.bed.hook_log()[-1], "10-app freeze")
        self.works()
        # The next start finds a ledger in use, and does not take stored fds for orphans.
        self.bed.kill()
        (self.bed.directory("a") / ".frozen").touch()
        self.bed.start_with(list(zip(names, fds)))
        self.host = self.bed.host()
        self.assertTrue(self.bed.frozen("a"))
        self.assertEqual(self.bed.log_text().count("The ledger is lost"), 1)
        (self.bed.directory("a") / ".frozen").unlink()
        self.works()

    def test_a_lost_ledger_leaves_the_fds_of_the_service_manager(self) -> None:
        self.lost_ledger(["hold-these", "hold-these"])

    def test_a_lost_ledger_leaves_fds_with_names_of_their_own(self) -> None:
        self.lost_ledger(["hold-1", "hold-3"])

    def test_a_lost_ledger_leaves_fds_of_both_kinds(self) -> None:
        self.lost_ledger(["hold-these", "hold-0"])

    def test_a_lost_ledger_is_no_loss_to_the_start_after_next_either(self) -> None:
        fds = [os.open(self.bed.directory(name), os.O_RDONLY | os.O_DIRECTORY) for name in "ab"]
        for fd in fds:
            self.addCleanup(os.close, fd)
        self.host.call("guest-fsfreeze-freeze")
        self.kill_both()
        (self.bed.root / "run/ledger").unlink()
        self.bed.inject("b", "thaw EIO")
        self.bed.start_with([("hold-1", fds[0]), ("hold-3", fds[1])])
        wait_for(lambda: not self.bed.frozen("a"), 5, "the thaw of one", self.bed)
        self.bed.kill()
        self.bed.inject("b", "")
        self.assertTrue(self.bed.frozen("b"))
        self.bed.start_with([("hold-1", fds[0]), ("hold-3", fds[1])])
        self.host = self.bed.host()
        wait_for(lambda: not self.bed.anything_frozen(), 5, "the thaw of the other", self.bed)
        self.assertIn("fsfreeze is limited", self.refused("guest-fsfreeze-thaw"))
        self.works()

    def test_recovery_leaves_what_others_froze_alone(self) -> None:
        self.host.call("guest-fsfreeze-freeze")
        self.kill_both()
        (self.bed.directory("c")).mkdir()
        (self.bed.directory("c") / ".frozen").touch()
        self.assertEqual(self.recover().returncode, 0)
        self.assertTrue(self.bed.frozen("c"))
        self.assertEqual(self.bed.calls("c"), [])

    def test_recovery_beside_a_running_service_touches_nothing(self) -> None:
        self.host.call("guest-fsfreeze-freeze")
        result = self.recover()
        self.assertEqual(result.returncode, 1)
        self.assertTrue(self.bed.frozen("a") and self.bed.frozen("b"))
        self.assertEqual(self.host.call("guest-fsfreeze-thaw"), 2)

    def test_a_late_participant_does_not_make_an_answered_thaw_lost(self) -> None:
        self.bed.hook("10-slow", 'test "$1" != thaw || sleep 8')
        self.host.call("guest-fsfreeze-freeze")
        self.assertEqual(self.host.call("guest-fsfreeze-thaw"), 2)
        self.bed.kill()
        self.serve()
        self.assertEqual(self.host.call("guest-fsfreeze-thaw"), 0)


if __name__ == "__main__":
    tap.main()
