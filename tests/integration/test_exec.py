"""guest-exec and guest-exec-status, as hosts use them."""

import base64
import os
import signal
import time

import tap
import testbed
from testbed import Served, b64, wait_for


class Exec(Served):
    """The texts and shapes are the stock agent's; where they differ docs/compatibility.md says so."""

    def start(self, path: str, *arg: str, **options) -> int:
        reply = self.host.call("guest-exec", path=path, arg=list(arg), **options)
        self.assertEqual(list(reply), ["pid"])
        return reply["pid"]

    def end(self, pid: int, seconds: float = 20) -> dict:
        deadline = time.monotonic() + seconds
        while True:
            status = self.host.call("guest-exec-status", pid=pid)
            if status["exited"]:
                return status
            self.assertEqual(status, {"exited": False})
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.002)

    def run_shell(self, script: str, **options) -> dict:
        return self.end(self.start("sh", "-c", script, **options))

    def test_exit_code_and_signal(self) -> None:
        self.assertEqual(self.end(self.start("/bin/true")), {"exited": True, "exitcode": 0})
        self.assertEqual(self.run_shell("exit 7"), {"exited": True, "exitcode": 7})
        self.assertEqual(self.run_shell("kill -TERM $$"), {"exited": True, "signal": 15})

    def test_a_status_is_read_once(self) -> None:
        pid = self.start("true")
        self.end(pid)
        self.assertEqual(self.refused("guest-exec-status", pid=pid), f"PID {pid} does not exist")
        self.assertEqual(self.refused("guest-exec-status", pid=1), "PID 1 does not exist")

    def test_capture_modes(self) -> None:
        script, out, err = "echo out; echo err >&2", b64(b"out\n"), b64(b"err\n")
        ended = {"exited": True, "exitcode": 0}
        for mode, captured in ((None, {}), (False, {}), ("none", {}),
                               (True, {"out-data": out, "err-data": err}),
                               ("separated", {"out-data": out, "err-data": err}),
                               ("stdout", {"out-data": out}), ("stderr", {"err-data": err}),
                               ("merged", {"out-data": b64(b"out\nerr\n")})):
            with self.subTest(mode=mode):
                options = {} if mode is None else {"capture_output": mode}
                self.assertEqual(self.run_shell(script, **options), {**ended, **captured})

    def test_wrong_arguments(self) -> None:
        self.assertEqual(self.refused("guest-exec", path="true", capture_output="all"),
                         "Parameter 'capture-output' does not accept value 'all'")
        self.assertEqual(
            self.refused("guest-exec", path="true", capture_output=3),
            "Invalid parameter type for 'capture-output', expected: GuestExecCaptureOutput")
        self.assertEqual(self.refused("guest-exec", path="true", arg=[1]),
                         "Invalid parameter type for 'arg[0]', expected: string")
        self.assertEqual(self.refused("guest-exec", path="cat", input_data="!!"),
                         "Base64 data contains invalid characters")
        self.assertIn("cut short", self.refused("guest-exec", path="cat", input_data="YWJjZ"))
        failed = "Guest agent command failed, error was 'Failed to execute child process “%s” (%s)'"
        for path, reason in (("/nope", "No such file or directory"),
                             ("nope", "No such file or directory"),
                             ("", "No such file or directory"),
                             ("/etc/passwd", "Permission denied"), ("/tmp", "Permission denied")):
            self.assertEqual(self.refused("guest-exec", path=path), failed % (path, reason))
        self.assertIn("Argument list too long",
                      self.refused("guest-exec", path="true", arg=["x" * (1 << 20)]))

    def test_environment(self) -> None:
        own = self.end(self.start("env", capture_output=True))
        self.assertIn(b"PATH=", base64.b64decode(own["out-data"]))
        self.assertNotIn(b"NOTIFY_SOCKET", base64.b64decode(own["out-data"]))
        given = self.end(self.start("env", env=["A=b", "C=d e"], capture_output=True))
        self.assertEqual(given["out-data"], b64(b"A=b\nC=d e\n"))
        # The program is looked for where the given environment says.
        tool = self.bed.root / "tool"
        tool.write_text("#!/bin/sh\necho found\n")
        tool.chmod(0o755)
        found = self.end(self.start("tool", env=[f"PATH={self.bed.root}"], capture_output=True))
        self.assertEqual(found["out-data"], b64(b"found\n"))

    def test_input(self) -> None:
        echo = self.end(self.start("cat", input_data=b64(b"\0\xff in"), capture_output=True))
        self.assertEqual(echo["out-data"], b64(b"\0\xff in"))
        # Large enough to be decoded and encoded in threads.
        large = os.urandom(3 << 20)
        echo = self.end(self.start("cat", input_data=b64(large), capture_output="stdout"))
        self.assertEqual(base64.b64decode(echo["out-data"]), large)
        empty = self.end(self.start("cat", input_data="", capture_output=True))
        self.assertEqual(empty, {"exited": True, "exitcode": 0})
        ignored = self.end(self.start("true", input_data=b64(b"x" * 200000)))
        self.assertEqual(ignored["exitcode"], 0)

    def test_a_flood_is_cut_at_16_mib(self) -> None:
        pid = self.start("sh", "-c", "head -c 17000000 /dev/zero; echo end >&2",
                         capture_output=True)
        status = self.end(pid, 60)
        self.assertEqual(len(base64.b64decode(status["out-data"])), 16 << 20)
        self.assertEqual(status["out-truncated"], True)
        self.assertEqual(status["err-data"], b64(b"end\n"))
        self.assertNotIn("err-truncated", status)

    def test_an_endless_flood_holds_nobody_up(self) -> None:
        pid = self.start("yes", capture_output=True)
        time.sleep(0.3)
        times = sorted(self.host.ping() for _ in range(50))
        self.assertLess(times[25], 0.1 * testbed.SPEED)
        os.kill(pid, signal.SIGKILL)
        status = self.end(pid, 60)
        self.assertEqual(status["signal"], 9)

    def test_a_service_that_keeps_stdout(self) -> None:
        began = time.monotonic()
        status = self.run_shell("sleep 30 & echo $!", capture_output=True)
        self.assertLess(time.monotonic() - began, 10)
        os.kill(int(base64.b64decode(status["out-data"])), signal.SIGKILL)

    def test_what_runs_outlives_the_agent(self) -> None:
        marker = self.bed.root / "marker"
        pid = self.start("sh", "-c", f"trap '' TERM HUP; echo ready >{marker}; sleep 60")
        wait_for(marker.exists, 5, "the child", self.bed)
        self.assertEqual(self.bed.stop(), 0)
        os.kill(pid, 0)
        os.killpg(pid, signal.SIGKILL)

    def test_many_at_once(self) -> None:
        pids = [self.start("sh", "-c", f"sleep 0.1; exit {number}") for number in range(40)]
        self.assertEqual([self.end(pid)["exitcode"] for pid in pids], list(range(40)))

    def test_not_while_frozen_nor_by_observers(self) -> None:
        pid = self.start("true")
        self.host.call("guest-fsfreeze-freeze")
        for name, arguments in (("guest-exec", {"path": "true"}), ("guest-exec-status",
                                                                    {"pid": pid})):
            self.assertIn("the agent is in frozen state",
                          self.refused(name, kind="CommandNotFound", **arguments))
        self.host.call("guest-fsfreeze-thaw")
        self.assertEqual(self.end(pid)["exitcode"], 0)

    def test_memory_comes_back(self) -> None:
        self.run_shell("head -c 17000000 /dev/zero", capture_output=True)
        self.host.call("guest-ping")
        if not os.environ.get("QUIESCED_SANITIZED"):
            self.assertLess(self.bed.memory(), 4 * 1024)


if __name__ == "__main__":
    tap.main()
