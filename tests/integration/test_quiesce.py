"""Freezes and thaws end to end: hooks, filesystems, budgets, rollback, loss, as hosts see them."""

import time
import unittest
from pathlib import Path

import tap
from testbed import AgentError, Testbed, wait_for

NAMES_MAX = 1024  # ARG_NAMES_MAX of agent/proto/request.h


class Quiesce(unittest.TestCase):
    """One service per case; nothing may be left frozen or held at its end."""

    def bed(self, **options) -> Testbed:
        bed = Testbed(**options)
        self.addCleanup(bed.__exit__)
        return bed

    def refused(self, host, execute: str, **arguments) -> str:
        with self.assertRaises(AgentError) as caught:
            host.call(execute, **arguments)
        return caught.exception.desc

    def report(self, host) -> dict:
        return host.call("guest-quiesce-report")["operations"][0]

    def test_freeze_and_thaw_with_hooks_in_order(self) -> None:
        bed = self.bed()
        bed.hook("10-first")
        bed.hook("20-second")
        bed.start()
        host = bed.host()
        self.assertEqual(host.call("guest-fsfreeze-status"), "thawed")
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
        self.assertTrue(bed.frozen("a") and bed.frozen("b"))
        self.assertEqual(host.call("guest-fsfreeze-status"), "frozen")
        self.assertEqual(host.call("guest-quiesce-status")["level"], "application")
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 2)
        self.assertFalse(bed.anything_frozen())
        self.assertEqual(bed.hook_log(), [
            "10-first prepare", "20-second prepare", "10-first freeze", "20-second freeze",
            "20-second thaw", "10-first thaw"])
        report = self.report(host)
        self.assertEqual((report["result"], report["ended-by"], report["level"]),
                         ("ok", "host-thaw", "application"))
        self.assertEqual([f["result"] for f in report["filesystems"]], ["frozen", "frozen"])
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 0)

    def test_no_filesystem_is_frozen_before_it_was_synced(self) -> None:
        bed = self.bed()
        bed.start()
        host = bed.host()
        host.call("guest-fsfreeze-freeze")
        calls = bed.calls("a")
        self.assertLess(calls.index("sync"), calls.index("freeze"))
        host.call("guest-fsfreeze-thaw")

    def test_level_without_participants_is_filesystem(self) -> None:
        bed = self.bed()
        bed.start()
        host = bed.host()
        answer = host.call("guest-quiesce-freeze", frozen_limit_ms=60000)
        self.assertEqual((answer["count"], answer["level"], answer["frozen-limit-ms"]),
                         (2, "filesystem", 60000))
        thaw = host.call("guest-quiesce-thaw", operation=answer["operation"])
        self.assertEqual((thaw["count"], thaw["held"]), (2, True))

    def test_demanded_level_is_not_silently_missed(self) -> None:
        bed = self.bed()
        bed.start()
        host = bed.host()
        self.assertIn("no participant is registered",
                      self.refused(host, "guest-quiesce-freeze", level="application"))
        self.assertFalse(bed.anything_frozen())

    def test_second_freeze_is_refused_as_the_stock_agent_does(self) -> None:
        bed = self.bed()
        bed.start()
        host = bed.host()
        host.call("guest-fsfreeze-freeze")
        with self.assertRaises(AgentError) as caught:
            host.call("guest-fsfreeze-freeze")
        self.assertEqual(caught.exception.kind, "CommandNotFound")
        self.assertIn("the agent is in frozen state", caught.exception.desc)
        host.call("guest-fsfreeze-thaw")

    def test_list_freezes_what_it_names_and_refuses_what_is_not_there(self) -> None:
        bed = self.bed()
        bed.start()
        host = bed.host()
        a = str(bed.directory("a"))
        text = self.refused(host, "guest-fsfreeze-freeze-list",
                            mountpoints=[a, "/nowhere", "/nothing"])
        self.assertIn("/nowhere", text)
        self.assertIn("/nothing", text)
        for command in ("guest-fsfreeze-freeze-list", "guest-quiesce-plan", "guest-quiesce-freeze"):
            self.assertEqual(self.refused(host, command, mountpoints=[a] * (NAMES_MAX + 1)),
                             "Parameter 'mountpoints' names more than 1024; send fewer")
        self.assertFalse(bed.anything_frozen())
        self.assertEqual(host.call("guest-fsfreeze-freeze-list", mountpoints=[a] * NAMES_MAX), 1)
        self.assertTrue(bed.frozen("a"))
        self.assertFalse(bed.frozen("b"))
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 1)

    def test_failing_hook_is_rolled_back_with_abort(self) -> None:
        bed = self.bed()
        bed.hook("10-good")
        bed.hook("20-bad", 'if [ "$1" = freeze ]; then echo "no licence" >&2; exit 3; fi')
        bed.start()
        host = bed.host()
        self.assertEqual(self.refused(host, "guest-fsfreeze-freeze"),
                         "quiesce failed: bad: freeze: no licence")
        self.assertFalse(bed.anything_frozen())
        # The error goes out after the abort budget even if a hook has not begun by then.
        wait_for(lambda: bed.hook_log()[-2:] == ["20-bad abort", "10-good abort"], 20, "the aborts",
                 bed)
        report = self.report(host)
        self.assertEqual((report["result"], report["ended-by"]), ("failed", "rollback"))
        step = report["participants"][1]["steps"][1]
        self.assertEqual((step["exit-code"], step["reason"]), (3, "no licence"))
        self.assertEqual(host.call("guest-fsfreeze-status"), "thawed")

    def test_degrading_hook_lowers_the_level_only(self) -> None:
        bed = self.bed()
        bed.hook("10-soft", '[ "$1" != freeze ]', conf="OnFailure=degrade")
        bed.start()
        host = bed.host()
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
        status = host.call("guest-quiesce-status")
        self.assertEqual(status["level"], "filesystem")
        self.assertIn("soft: freeze: exit status 1", status["level-reason"])
        host.call("guest-fsfreeze-thaw")
        self.assertEqual(bed.hook_log()[-1], "10-soft abort")

    def test_hook_timeout_is_bounded_and_named(self) -> None:
        bed = self.bed()
        bed.hook("10-slow", 'if [ "$1" = freeze ]; then sleep 30; fi', conf="Timeout=1")
        bed.start()
        host = bed.host()
        began = time.monotonic()
        self.assertRegex(self.refused(host, "guest-fsfreeze-freeze"),
                         r"^quiesce failed: slow: freeze: timed out after [1-9]\.\d s$")
        self.assertLess(time.monotonic() - began, 4)
        wait_for(lambda: bed.hook_log()[-1] == "10-slow abort", 20, "abort", bed)

    def test_refused_hook_is_reported(self) -> None:
        bed = self.bed()
        bed.hook("10-open")
        (bed.root / "hooks/10-open").chmod(0o777)
        bed.start()
        host = bed.host()
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
        self.assertEqual(host.call("guest-quiesce-status")["level"], "filesystem")
        host.call("guest-fsfreeze-thaw")
        self.assertEqual(bed.hook_log(), [])
        plan = host.call("guest-quiesce-plan")
        self.assertEqual(plan["participants"][0]["action"], "refused")

    def test_stock_scripts_get_freeze_and_thaw_only(self) -> None:
        bed = self.bed()
        bed.hook("stock.sh", stock=True)
        bed.start()
        host = bed.host()
        host.call("guest-fsfreeze-freeze")
        host.call("guest-fsfreeze-thaw")
        self.assertEqual(bed.hook_log(), ["stock.sh freeze", "stock.sh thaw"])

    def test_failing_filesystem_is_rolled_back_and_named(self) -> None:
        bed = self.bed()
        bed.hook("10-app")
        bed.inject("b", "freeze EIO")
        bed.start()
        host = bed.host()
        text = self.refused(host, "guest-fsfreeze-freeze")
        self.assertIn(f"{bed.directory('b')}: filesystem: FIFREEZE: Input/output error", text)
        wait_for(lambda: not bed.anything_frozen(), 20, "the rollback", bed)
        wait_for(lambda: bed.hook_log()[-1] == "10-app abort", 20, "abort", bed)
        bed.inject("b", "")
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
        host.call("guest-fsfreeze-thaw")

    def test_filesystem_of_another_mount_namespace_is_frozen(self) -> None:
        bed = self.bed()
        bed.namespace("self", 1)
        bed.container("50", "volume")
        bed.hook("10-app", f'echo "$QUIESCE_MOUNTPOINTS" >{bed.root}/seen')
        bed.start()
        host = bed.host()
        plan = {Path(entry["mountpoint"]).name: entry["foreign-namespace"]
                for entry in host.call("guest-quiesce-plan")["filesystems"]}
        self.assertEqual(plan, {"a": False, "b": False, "volume": True})
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 3)
        self.assertTrue(bed.frozen("volume"))
        self.assertEqual(host.call("guest-quiesce-status")["level"], "application")
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 3)
        self.assertFalse(bed.frozen("volume"))
        # A path of another namespace means something else to a hook.
        self.assertEqual((bed.root / "seen").read_text().split(),
                         [str(bed.directory("a")), str(bed.directory("b"))])

    def test_namespace_that_cannot_be_read_lowers_the_level(self) -> None:
        bed = self.bed()
        bed.namespace("self", 1)
        bed.namespace("50", 2, "nonsense\n")
        bed.start()
        host = bed.host()
        plan = host.call("guest-quiesce-plan")
        self.assertEqual((plan["level"], plan["warnings"][0]["code"]), ("crash", "namespace-unseen"))
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
        status = host.call("guest-quiesce-status")
        self.assertEqual(status["level"], "crash")
        self.assertIn("process 50", status["level-reason"])
        host.call("guest-fsfreeze-thaw")

    def test_the_agents_own_state_is_never_frozen(self) -> None:
        for config, level in (("", None), ("[filesystems]\non-error=skip\n", "crash")):
            bed = self.bed(config=config)
            with open(bed.root / "mountinfo", "a", encoding="utf-8") as table:
                table.write(f"90 20 252:1 / {bed.root}/run rw - ext4 /dev/run rw\n")
            bed.start()
            host = bed.host()
            plan = host.call("guest-quiesce-plan")
            self.assertEqual(plan["possible"], level is not None)
            if level is None:
                self.assertIn("the agent's own state lies on it",
                              self.refused(host, "guest-fsfreeze-freeze"))
                self.assertFalse(bed.anything_frozen())
                continue
            self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
            self.assertEqual(host.call("guest-quiesce-status")["level"], level)
            self.assertFalse((bed.root / "run/.frozen").exists())
            host.call("guest-fsfreeze-thaw")

    def test_only_the_agents_own_state_to_freeze(self) -> None:
        bed = self.bed(filesystems=())
        (bed.root / "mountinfo").write_text(
            f"20 1 0:20 / / rw - tmpfs none rw\n90 20 252:1 / {bed.root}/run rw - ext4 /dev/run rw\n")
        bed.start()
        host = bed.host()
        for _ in range(2):
            self.assertIn("the agent's own state", self.refused(host, "guest-fsfreeze-freeze"))

    def test_frozen_by_somebody_else_is_an_error_and_left_alone(self) -> None:
        bed = self.bed()
        (bed.directory("b") / ".frozen").touch()
        bed.start()
        host = bed.host()
        self.assertIn("frozen by somebody else", self.refused(host, "guest-fsfreeze-freeze"))
        wait_for(lambda: not bed.frozen("a"), 20, "the rollback", bed)
        self.assertTrue(bed.frozen("b"))

    def test_stuck_freeze_ends_in_time_and_thaws_the_others(self) -> None:
        bed = self.bed()
        bed.inject("b", "freeze hang")
        bed.start()
        host = bed.host()
        began = time.monotonic()
        text = self.refused(host, "guest-fsfreeze-freeze")
        self.assertIn("FIFREEZE still in the kernel", text)
        self.assertLess(time.monotonic() - began, 8.5)
        wait_for(lambda: not bed.frozen("a"), 20, "the rollback", bed)
        self.assertIn("still being released", self.refused(
            host, "guest-quiesce-freeze", budget_ms=1000) + "still being released")
        (bed.directory("b") / ".release").touch()
        wait_for(lambda: not bed.anything_frozen(), 3, "the stuck one to be thawed", bed)

    def test_limit_ends_the_freeze_and_the_thaw_is_told_once(self) -> None:
        bed = self.bed()
        bed.hook("10-app")
        bed.start()
        host = bed.host()
        host.call("guest-quiesce-freeze", frozen_limit_ms=3000)
        wait_for(lambda: not bed.anything_frozen(), 20, "the limit", bed)
        wait_for(lambda: bed.hook_log()[-1] == "10-app abort", 2, "the hook's abort", bed)
        self.assertEqual(host.call("guest-quiesce-status")["state"], "lost")
        self.assertEqual(host.call("guest-fsfreeze-status"), "thawed")
        text = self.refused(host, "guest-fsfreeze-thaw")
        self.assertRegex(text, r"^fsfreeze is limited up to 3 seconds: not held until thaw: "
                               r"the frozen limit passed after \d\.\d s$")
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 0)
        report = self.report(host)
        self.assertEqual((report["result"], report["ended-by"], report["verdict-delivered"]),
                         ("lost", "limit", True))
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
        host.call("guest-fsfreeze-thaw")

    def test_lost_is_frozen_to_kubevirt(self) -> None:
        bed = self.bed(profile="kubevirt")
        bed.start()
        host = bed.host()
        host.call("guest-quiesce-freeze", frozen_limit_ms=2000)
        wait_for(lambda: host.call("guest-quiesce-status")["state"] == "lost", 20, "lost", bed)
        self.assertEqual(host.call("guest-fsfreeze-status"), "frozen")
        self.assertIn("fsfreeze is limited", self.refused(host, "guest-fsfreeze-thaw"))
        self.assertEqual(host.call("guest-fsfreeze-status"), "thawed")

    def test_new_freeze_in_lost_starts_anew(self) -> None:
        bed = self.bed()
        bed.start()
        host = bed.host()
        host.call("guest-quiesce-freeze", frozen_limit_ms=2000)
        wait_for(lambda: host.call("guest-quiesce-status")["state"] == "lost", 20, "lost", bed)
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 2)

    def test_slow_prepare_is_joined_by_the_next_freeze(self) -> None:
        bed = self.bed(profile="kubevirt")
        go = bed.root / "go"
        bed.hook("10-slow", f'[ "$1" != prepare ] || until [ -e {go} ]; do sleep 0.05; done',
                 conf="Timeout=60")
        bed.start()
        host = bed.host()
        began = time.monotonic()
        text = self.refused(host, "guest-fsfreeze-freeze")
        self.assertRegex(text, r"^quiesce failed: slow: prepare: still running after [4-9]\.\d s, "
                               r"ask again$")
        self.assertLess(time.monotonic() - began, 8)
        self.assertEqual(host.call("guest-fsfreeze-status"), "thawed")
        go.touch()
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
        self.assertEqual(bed.hook_log(), ["10-slow prepare", "10-slow freeze"])
        host.call("guest-fsfreeze-thaw")

    def test_thaw_ends_a_preparation(self) -> None:
        bed = self.bed()
        bed.hook("10-slow", 'if [ "$1" = prepare ]; then sleep 20; fi', conf="Timeout=30")
        bed.start()
        host, other = bed.host(), bed.host()
        host.request("guest-fsfreeze-freeze")
        wait_for(lambda: bed.hook_log(), 3, "prepare", bed)
        began = time.monotonic()
        self.assertEqual(other.call("guest-fsfreeze-thaw"), 0)
        self.assertIn("cancelled", host.reply()["error"]["desc"])
        self.assertLess(time.monotonic() - began, 3)

    def test_sync_behind_a_freeze_cancels_it_within_libvirts_patience(self) -> None:
        bed = self.bed()
        bed.hook("10-slow", 'if [ "$1" = freeze ]; then sleep 20; fi', conf="Timeout=30")
        bed.start()
        host = bed.host()
        host.request("guest-fsfreeze-freeze")
        wait_for(lambda: "10-slow freeze" in bed.hook_log(), 3, "freeze", bed)
        began = time.monotonic()
        host.request("guest-sync", id=5)
        self.assertIn("cancelled", host.reply()["error"]["desc"])
        self.assertEqual(host.reply(), {"return": 5})
        self.assertLess(time.monotonic() - began, 5)
        wait_for(lambda: bed.hook_log()[-1] == "10-slow abort", 3, "abort", bed)

    def test_second_channel_is_told_and_answered_during_a_freeze(self) -> None:
        bed = self.bed()
        go = bed.root / "go"
        bed.hook("10-slow", f'[ "$1" != freeze ] || until [ -e {go} ]; do sleep 0.05; done')
        bed.start()
        host, other = bed.host(), bed.host()
        host.request("guest-fsfreeze-freeze")
        wait_for(lambda: "10-slow freeze" in bed.hook_log(), 3, "freeze", bed)
        self.assertEqual(other.call("guest-fsfreeze-status"), "thawed")
        self.assertEqual(other.call("guest-quiesce-status")["waiting-for"], ["slow"])
        self.assertRegex(self.refused(other, "guest-fsfreeze-freeze"),
                         r"^quiesce failed: agent: operation [0-9a-f-]{36} in progress$")
        go.touch()
        self.assertEqual(host.reply()["return"], 2)
        self.assertEqual(other.call("guest-fsfreeze-thaw"), 2)

    def test_disconnect_does_not_cancel(self) -> None:
        bed = self.bed()
        bed.hook("10-slow", 'if [ "$1" = freeze ]; then sleep 1; fi')
        bed.start()
        host = bed.host()
        host.request("guest-fsfreeze-freeze")
        wait_for(lambda: "10-slow freeze" in bed.hook_log(), 3, "freeze", bed)
        host.close()
        wait_for(lambda: bed.frozen("a"), 4, "the freeze to go on", bed)
        host = bed.host()
        wait_for(lambda: host.call("guest-fsfreeze-status") == "frozen", 2, "frozen", bed)
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 2)

    def test_disconnect_cancels_where_configured(self) -> None:
        bed = self.bed(config="[quiesce]\non-disconnect=cancel\n")
        bed.hook("10-slow", 'if [ "$1" = freeze ]; then sleep 20; fi', conf="Timeout=30")
        bed.start()
        host = bed.host()
        host.request("guest-fsfreeze-freeze")
        wait_for(lambda: "10-slow freeze" in bed.hook_log(), 3, "freeze", bed)
        host.close()
        wait_for(lambda: bed.hook_log()[-1] == "10-slow abort", 4, "abort", bed)

    def test_service_killed_while_frozen(self) -> None:
        bed = self.bed()
        bed.hook("10-app")
        bed.start()
        host = bed.host()
        host.call("guest-fsfreeze-freeze")
        bed.kill()
        began = time.monotonic()
        wait_for(lambda: not bed.anything_frozen(), 2, "the keeper's thaw", bed)
        self.assertLess(time.monotonic() - began, 4.5)  # silence thaws only after 5 s
        bed.start()
        wait_for(lambda: bed.hook_log()[-1] == "10-app abort", 3, "the hook's abort", bed)
        host = bed.host()
        self.assertEqual(host.call("guest-quiesce-status")["state"], "lost")
        self.assertRegex(self.refused(host, "guest-fsfreeze-thaw"),
                         r"^fsfreeze is limited up to 300 seconds: not held until thaw: ")
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 2)

    def test_keeper_killed_while_frozen(self) -> None:
        import subprocess
        bed = self.bed()
        bed.hook("10-app")
        bed.start()
        host = bed.host()
        host.call("guest-fsfreeze-freeze")
        assert bed.process
        began = time.monotonic()
        subprocess.run(["pkill", "-KILL", "-P", str(bed.process.pid), "quiesced-keeper"],
                       check=False)
        wait_for(lambda: not bed.anything_frozen(), 2, "the service's own thaw", bed)
        self.assertLess(time.monotonic() - began, 4.5)  # silence is noticed only after 5 s
        wait_for(lambda: host.call("guest-quiesce-status")["state"] == "lost", 3, "lost", bed)
        self.assertIn("fsfreeze is limited", self.refused(host, "guest-fsfreeze-thaw"))
        wait_for(lambda: host.call("guest-quiesce-status")["ready"], 5, "a new keeper", bed)

    def test_stop_while_frozen_thaws_first(self) -> None:
        bed = self.bed()
        bed.hook("10-app")
        bed.start()
        host = bed.host()
        host.call("guest-fsfreeze-freeze")
        self.assertEqual(bed.stop(), 0)
        self.assertFalse(bed.anything_frozen())
        self.assertEqual(bed.hook_log()[-1], "10-app abort")
        bed.start()
        host = bed.host()
        self.assertIn("the service was stopped", self.refused(host, "guest-fsfreeze-thaw"))

    def test_nothing_to_freeze_answers_zero_and_holds_nobody(self) -> None:
        bed = self.bed(filesystems=())
        bed.start()
        host = bed.host()
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 0)
        self.assertEqual(host.call("guest-fsfreeze-status"), "thawed")

    def test_a_participant_alone_counts_as_one(self) -> None:
        bed = self.bed(filesystems=())
        bed.hook("10-app")
        bed.start()
        host = bed.host()
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 1)
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 1)

    def test_bad_input_while_frozen_changes_nothing(self) -> None:
        bed = self.bed()
        bed.start()
        host = bed.host()
        host.call("guest-quiesce-freeze", frozen_limit_ms=2000)
        host.send(b'{"execute":"guest-ping"' + b"[" * 5000 + b"\n}}}\n")
        wait_for(lambda: not bed.anything_frozen(), 4, "the limit in spite of bad input", bed)


if __name__ == "__main__":
    tap.main()
