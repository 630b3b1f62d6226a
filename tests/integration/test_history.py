"""The history and the counters over restarts, and the host's verdict on a snapshot."""

import time

import tap
from testbed import Case, wait_for


class History(Case):
    """One service per case."""

    def quiesce(self) -> str:
        operation = self.host.call("guest-quiesce-freeze")["operation"]
        self.host.call("guest-fsfreeze-thaw")
        return operation

    def reports(self, **arguments) -> list[dict]:
        return self.host.call("guest-quiesce-report", limit=100, **arguments)["operations"]

    def test_kept_over_a_stop_and_over_a_death(self) -> None:
        self.bed.hook("app")
        self.serve()
        first = self.quiesce()
        before = self.reports()
        wait_for((self.bed.root / "state/history").exists, 5, "the history", self.bed)
        self.bed.kill()
        self.serve()
        wait_for(lambda: self.reports() == before, 5, "the same report", self.bed)
        second = self.quiesce()
        self.assertEqual(self.bed.stop(), 0)
        self.serve()
        wait_for(lambda: len(self.reports()) == 2, 5, "both reports", self.bed)
        self.assertEqual([r["operation"] for r in self.reports()], [second, first])
        self.assertEqual(self.host.call("guest-quiesce-report", operation=first)["operations"],
                         before)

    def test_a_verdict_told_after_a_death_is_noted(self) -> None:
        """Before and after a restart, by the service that tells it and by the next ones."""
        self.serve()
        self.host.call("guest-quiesce-freeze", **{"frozen-limit-ms": 2000})
        wait_for(lambda: self.host.call("guest-quiesce-status")["state"] == "lost", 20, "the limit",
                 self.bed)
        wait_for((self.bed.root / "state/history").exists, 5, "the history", self.bed)
        before = self.reports()[0]
        self.assertFalse(before["verdict-delivered"])
        self.bed.kill()
        self.serve()
        wait_for(lambda: self.reports() == [before], 5, "the same report", self.bed)
        self.assertIn("fsfreeze is limited", self.refused("guest-fsfreeze-thaw"))
        before["verdict-delivered"] = True
        self.assertEqual(self.reports(), [before])
        self.assertEqual(self.bed.stop(), 0)
        self.serve()
        wait_for(lambda: self.reports() == [before], 5, "the verdict", self.bed)

    def test_nothing_is_written_while_frozen(self) -> None:
        self.serve()
        self.quiesce()
        path = self.bed.root / "state/history"
        wait_for(path.exists, 5, "the history", self.bed)
        self.host.call("guest-fsfreeze-freeze")
        path.unlink()
        time.sleep(0.5)
        self.assertFalse(path.exists())
        self.host.call("guest-fsfreeze-thaw")
        wait_for(path.exists, 5, "the history", self.bed)

    def test_damage_costs_the_past_only(self) -> None:
        (self.bed.root / "state").mkdir()
        (self.bed.root / "state/history").write_text("damaged\n")
        self.serve()
        self.quiesce()
        self.assertEqual(len(self.reports()), 1)
        wait_for(lambda: self.bed.log_text().count("the file is damaged; begun anew") == 1, 20,
                 "one line about it", self.bed)

    def test_the_verdict_reaches_who_wants_it_once(self) -> None:
        self.bed.hook("app", '[ "$1" != complete ] || echo "$QUIESCE_SUCCESS" >"$0.success"',
                      "Verbs=freeze,thaw,complete")
        self.bed.hook("other")
        self.serve()
        operation = self.quiesce()
        self.assertEqual(
            self.host.call("guest-quiesce-complete", operation=operation, success=True), {})
        wait_for(lambda: self.bed.hook_log()[-1] == "app complete", 5, "the call", self.bed)
        wait_for(lambda: "verb" in str(self.reports()[0]["participants"][0]["steps"][-1]) and
                 self.reports()[0]["participants"][0]["steps"][-1]["verb"] == "complete", 5,
                 "the step", self.bed)
        self.assertEqual(self.reports()[0]["host-verdict"], "success")
        self.assertNotIn("other complete", self.bed.hook_log())
        success = self.bed.root / "hooks/app.success"
        wait_for(lambda: success.exists() and success.read_text() == "1\n", 5, "the hook", self.bed)
        success.unlink()
        self.assertIn("has its verdict already", self.refused(
            "guest-quiesce-complete", operation=operation, success=False))

    def test_verdicts_that_are_not_taken(self) -> None:
        self.bed.hook("app", "", "Verbs=freeze,thaw,complete")
        self.serve()
        first = self.quiesce()
        second = self.host.call("guest-quiesce-freeze")["operation"]
        self.assertIn("in progress", self.refused(
            "guest-quiesce-complete", operation=second, success=True))
        self.host.call("guest-fsfreeze-thaw")
        self.assertIn("takes no verdict", self.refused(
            "guest-quiesce-complete", operation=first, success=True))
        self.assertIn("takes no verdict", self.refused(
            "guest-quiesce-complete", operation="no", success=True))
        self.assertIn("success", self.refused("guest-quiesce-complete", operation=second))
        self.assertEqual(
            self.host.call("guest-quiesce-complete", operation=second, success=False), {})
        wait_for(lambda: self.bed.hook_log()[-1] == "app complete", 5, "the call", self.bed)
        self.assertEqual(self.reports()[0]["host-verdict"], "failure")

    def test_a_freeze_waits_for_the_verdict_being_told(self) -> None:
        self.bed.hook("app", '[ "$1" != complete ] || sleep 0.6; echo "end $1" >>"$0.ends"',
                      "Verbs=prepare,complete")
        self.serve()
        operation = self.quiesce()
        self.host.call("guest-quiesce-complete", operation=operation, success=True)
        self.assertEqual(self.host.call("guest-fsfreeze-freeze"), 2)
        self.assertEqual(self.host.call("guest-fsfreeze-thaw"), 2)
        ends = self.bed.root / "hooks/app.ends"
        self.assertEqual(ends.read_text().split("\n")[:3],
                         ["end prepare", "end complete", "end prepare"])
        ends.unlink()


if __name__ == "__main__":
    tap.main()
