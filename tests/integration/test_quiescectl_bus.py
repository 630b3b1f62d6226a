"""quiescectl with a service: what people read there is what hosts are told.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import json
import os
import subprocess
import time

import bus_bed
from bus_bed import Application, BusBed
import tap
import unittest
from testbed import AgentError, wait_for

PROGRAM = os.environ.get("QUIESCECTL_TESTBED", "build/quiescectl-testbed")
STATUS_MS = 50
SLOW = "QUIESCED_SANITIZED" in os.environ


class Ctl(unittest.TestCase):
    """A service on a private bus."""

    def setUp(self) -> None:
        self.bed = BusBed().__enter__()
        self.addCleanup(self.bed.__exit__)

    def start(self):
        self.bed.start()
        return self.bed.host()

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC",
                "QUIESCED_TEST_OWNER": str(os.getuid()),
                "DBUS_SYSTEM_BUS_ADDRESS": self.bed.address}

    def run_ctl(self, *arguments: str, status: int = 0) -> str:
        result = subprocess.run([PROGRAM, *arguments], env=self.environment(), text=True,
                                capture_output=True, timeout=60, check=False)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result.stdout if status in (0, 1) and not result.stderr else result.stderr

    def json(self, *arguments: str, status: int = 0):
        text = self.run_ctl("--json", *arguments, status=status)
        self.assertEqual(len(text.splitlines()), 1)
        return json.loads(text)


class Looking(Ctl):
    """Nothing of it changes anything."""

    def test_status_in_every_state_that_lasts(self):
        self.bed.hook("shop")
        host = self.start()
        text = self.run_ctl("status")
        self.assertRegex(text, r"State +thawed")
        self.assertRegex(text, r"Ready +yes, as default host")
        host.call("guest-fsfreeze-freeze")
        text = self.run_ctl("status")
        self.assertRegex(text, r"State +frozen for .*; thawed by itself in .* at the latest")
        self.assertRegex(text, r"Filesystems +2 of 2 frozen")
        self.assertRegex(text, r"shop +freeze +ok")
        mine, theirs = self.json("status"), host.call("guest-quiesce-status")
        for varies in ("frozen-ms", "frozen-left-ms", "elapsed-ms"):
            mine.pop(varies, None)
            theirs.pop(varies, None)
        self.assertEqual(mine, theirs)
        host.call("guest-fsfreeze-thaw")

    def test_status_names_whom_it_waits_for(self):
        self.bed.hook("slow", "[ $1 = freeze ] && sleep 3; exit 0", "Timeout=5")
        host = self.start()
        host.request("guest-fsfreeze-freeze")
        wait_for(lambda: "Waiting for   slow" in self.run_ctl("status"), 10, "slow", self.bed)
        self.assertEqual(host.reply()["return"], 2)
        host.call("guest-fsfreeze-thaw")

    def test_plan_and_participants(self):
        self.bed.hook("30-shop")
        self.bed.hook("open", "")
        os.chmod(self.bed.root / "hooks/open", 0o777)
        self.start()
        application = Application(self.bed, "queue", order=70)
        text = self.run_ctl("plan")
        self.assertIn("A freeze would reach the level filesystem.", text)
        self.assertRegex(text, r"30 +run +shop +hook +prepare,freeze,thaw,abort")
        self.assertRegex(text, r"50 +refused +open .*\(.*writable.*\)")
        self.assertRegex(text, r"70 +run +queue +dbus")
        self.assertIn(str(self.bed.directory("a")), text)
        self.assertIn("warning:", text)
        names = [one["name"] for one in self.json("participants")]
        self.assertEqual(sorted(names), ["open", "queue", "shop"])
        only = self.json("plan", str(self.bed.directory("a")))
        self.assertEqual([one["mountpoint"] for one in only["filesystems"]
                          if one["action"] == "freeze"], [str(self.bed.directory("a"))])
        self.assertEqual(application.calls, [])

    def test_check_tells_what_the_service_warns_of(self):
        self.start()
        (self.bed.root / "proc/meminfo").write_text("Dirty: 9000000 kB\nWriteback: 0 kB\n")
        text = self.run_ctl("check", f"--config={self.bed.root}/quiesced.conf")
        self.assertIn("0 errors, 1 warnings", text)
        self.assertIn("wait to be written to disk", text)

    def test_anyone_is_told_when_the_service_is_not_there(self):
        self.bed.start_bus()
        self.assertIn("the service does not run; start it with: systemctl start quiesced",
                      self.run_ctl("status", status=3))

    def test_a_service_that_is_stopped_does_not_answer(self):
        self.start()
        os.kill(self.bed.process.pid, 19)
        try:
            began = time.monotonic()
            self.assertIn("does not answer", self.run_ctl("status", status=3))
            self.assertLess(time.monotonic() - began, 20)
        finally:
            os.kill(self.bed.process.pid, 18)

    @unittest.skipIf(SLOW, "sanitizers change the time")
    def test_status_takes_less_than_50_ms(self):
        self.start()
        times = []
        for _ in range(10):
            began = time.perf_counter()
            self.run_ctl("status")
            times.append((time.perf_counter() - began) * 1000)
        print(f"# quiescectl status: best of ten {min(times):.1f} ms")
        self.assertLess(min(times), STATUS_MS)


class History(Ctl):
    """The same words as the host's."""

    def test_show_and_report_tell_the_same_truth(self):
        self.bed.hook("shop", '[ $1 = freeze ] && { echo "orders still open"; exit 3; }; exit 0')
        host = self.start()
        with self.assertRaises(AgentError) as caught:
            host.call("guest-fsfreeze-freeze")
        report = host.call("guest-quiesce-report")["operations"][0]
        text = self.run_ctl("show")
        self.assertIn(f"Error      {caught.exception.desc}", text)
        self.assertRegex(text, r"shop freeze +[█·]+ +\d+ ms +failed: orders still open")
        self.assertRegex(text, r"shop abort .* ok")
        self.assertEqual(self.json("show", report["operation"][:8]), report)
        line = self.run_ctl("history").splitlines()[1]
        for word in (report["operation"][:8], "failed", "crash", "orders still open"):
            self.assertIn(word, line)

    def test_history_is_newest_first_and_as_long_as_asked(self):
        host = self.start()
        self.assertIn("No operation yet.", self.run_ctl("history"))
        self.assertIn("no operation yet", self.run_ctl("show", status=1))
        for _ in range(3):
            host.call("guest-fsfreeze-freeze")
            host.call("guest-fsfreeze-thaw")
        operations = self.json("history", "-n", "2")["operations"]
        reports = host.call("guest-quiesce-report", limit=2)["operations"]
        self.assertEqual([one["operation"] for one in operations],
                         [one["operation"] for one in reports])
        self.assertIn("no such operation", self.run_ctl("show", "zzz", status=1))

    def test_bars_show_who_took_long(self):
        self.bed.hook("40-long", "[ $1 = prepare ] && sleep 3; exit 0")
        self.bed.hook("60-short")
        host = self.start()
        host.call("guest-fsfreeze-freeze")
        host.call("guest-fsfreeze-thaw")
        cells = {line[:30].strip(): line.count("█") for line in self.run_ctl("show").splitlines()
                 if "█" in line}
        self.assertGreater(cells["long prepare"], 2 * cells["short prepare"], cells)
        self.assertEqual({f"{self.bed.directory(name)} held"[:30].strip() for name in "ab"}
                         - set(cells), set())

    def test_metrics(self):
        host = self.start()
        host.call("guest-fsfreeze-freeze")
        host.call("guest-fsfreeze-thaw")
        text = self.run_ctl("metrics")
        self.assertTrue(text.endswith("# EOF\n"), text)
        self.assertRegex(text, r'(?m)^quiesced_operations_total\{result="ok"\} 1$')


class Acting(Ctl):
    """Freeze, rehearse, thaw."""

    def test_rehearsal_asks_everybody_and_freezes_nothing(self):
        self.bed.hook("shop")
        self.start()
        application = Application(self.bed, "queue")
        text = self.run_ctl("freeze", "--rehearse")
        self.assertIn("A rehearsal: everybody took part; no filesystem was touched.", text)
        self.assertRegex(text, r"queue freeze .* ok")
        self.assertEqual(application.calls, ["Prepare", "Freeze", "Thaw"])
        self.assertEqual(self.bed.hook_log(), ["shop prepare", "shop freeze", "shop thaw"])
        self.assertEqual(self.bed.calls("a"), [])
        self.assertRegex(self.run_ctl("status"), r"State +thawed")

    def test_a_rehearsal_that_fails_shows_who(self):
        self.bed.hook("shop", '[ $1 = freeze ] && { echo "no disk left"; exit 1; }; exit 0')
        self.start()
        result = subprocess.run([PROGRAM, "freeze", "--rehearse"], env=self.environment(),
                                text=True, capture_output=True, timeout=60, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("quiesce failed: shop: freeze: no disk left", result.stderr)
        self.assertRegex(result.stdout, r"shop freeze .* failed: no disk left")
        self.assertEqual(self.bed.hook_log()[-1], "shop abort")

    def test_freeze_and_thaw(self):
        self.start()
        text = self.run_ctl("freeze", "--limit=20", str(self.bed.directory("a")))
        self.assertIn("1 held, level filesystem. Ends by itself in 20.0 s.", text)
        self.assertTrue(self.bed.frozen("a"))
        self.assertFalse(self.bed.frozen("b"))
        self.assertRegex(self.run_ctl("thaw"), r"Thawed after .*, level filesystem\.")
        self.assertFalse(self.bed.frozen("a"))
        self.assertIn("Nothing was frozen.", self.run_ctl("thaw"))

    def test_a_thaw_of_the_hosts_freeze_is_told_to_the_host(self):
        host = self.start()
        host.call("guest-fsfreeze-freeze")
        self.run_ctl("thaw", status=1)
        self.assertFalse(self.bed.anything_frozen())
        with self.assertRaises(AgentError) as caught:
            host.call("guest-fsfreeze-thaw")
        self.assertIn("fsfreeze is limited", caught.exception.desc)

    def test_monitor_follows(self):
        host = self.start()
        monitor = subprocess.Popen(["timeout", "40", PROGRAM, "monitor", "--json"], env=self.environment(),
                                   text=True, stdout=subprocess.PIPE)
        self.addCleanup(monitor.stdout.close)
        self.addCleanup(monitor.kill)
        states = [json.loads(monitor.stdout.readline())["state"]]
        host.call("guest-fsfreeze-freeze")
        host.call("guest-fsfreeze-thaw")
        while states[-1] != "thawed" or len(states) == 1:
            states.append(json.loads(monitor.stdout.readline())["state"])
        self.assertEqual(states, ["thawed", "preparing", "freezing", "frozen", "thawing", "thawed"])
        self.bed.stop()
        self.assertEqual(json.loads(monitor.stdout.readline())["state"], "gone")
        monitor.terminate()
        self.assertEqual(monitor.wait(10), 0)


if __name__ == "__main__":
    bus_bed.run_loop()
    tap.main()
