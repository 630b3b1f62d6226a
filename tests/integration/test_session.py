"""Session hooks against the whole service: held, lost, hung, and left behind by a service that died."""

import grp
import os
import pwd
import signal
import time
import unittest

import tap
from testbed import Case, wait_for

SAY = os.environ["QUIESCED_SAY"]
HOLDS = f'{SAY} READY=1; cat >/dev/null; echo "app let go" >>ROOT/hook.log'


class Session(Case):
    """One service per case; the hook is "app"."""

    options = {"config": "[quiesce]\nparticipant-timeout=3\n"}

    def start(self, hold: str = HOLDS, conf: str = "", others: str = "exit 0") -> None:
        root = str(self.bed.root)
        hold = hold.replace("ROOT", root)
        self.bed.hook("app", f'[ "$1" = hold ] || {{ {others}; }}\necho $$ >{root}/pid\n{hold}')
        (self.bed.root / "hooks/app.conf").write_text(f"[Hook]\nType=session\n{conf}\n")
        self.serve()

    def pid(self) -> int:
        return int((self.bed.root / "pid").read_text())

    def alive(self) -> bool:
        try:
            state = open(f"/proc/{self.pid()}/stat", encoding="ascii").read().rsplit(")", 1)[1]
        except (FileNotFoundError, ProcessLookupError):
            return False
        return state.split()[0] != "Z"

    def app(self) -> dict:
        report = self.host.call("guest-quiesce-report")["operations"][0]
        return next(p for p in report["participants"] if p["name"] == "app")

    def lost(self) -> None:
        wait_for(lambda: self.host.call("guest-quiesce-status")["state"] == "lost", 5, "the loss",
                 self.bed)

    def test_held_from_freeze_to_thaw(self) -> None:
        self.start(conf="Verbs=prepare,complete")
        plan = self.host.call("guest-quiesce-plan")["participants"][0]
        self.assertEqual(plan["kind"], "session-hook")
        self.assertEqual(self.host.call("guest-fsfreeze-freeze"), 2)
        self.assertTrue(self.alive())
        status = self.host.call("guest-quiesce-status")["participants"][0]
        self.assertEqual((status["verb"], status["held"]), ("hold", True))
        self.assertEqual(self.host.call("guest-fsfreeze-thaw"), 2)
        self.assertEqual(self.bed.hook_log(), ["app prepare", "app hold", "app let go"])
        self.assertEqual([s["verb"] for s in self.app()["steps"]], ["prepare", "hold", "thaw"])
        report = self.host.call("guest-quiesce-report")["operations"][0]
        self.assertEqual(report["level"], "application")

    def test_a_lost_lock_is_the_verdict_of_the_thaw(self) -> None:
        self.start(f"{SAY} READY=1; until [ -e ROOT/over ]; do sleep 0.1; done; "
                   "echo server has gone away; exit 1")
        self.assertEqual(self.host.call("guest-fsfreeze-freeze"), 2)
        (self.bed.root / "over").touch()
        self.lost()
        self.assertTrue(self.bed.anything_frozen())
        self.assertEqual(self.host.call("guest-fsfreeze-status"), "frozen")
        text = self.refused("guest-fsfreeze-thaw")
        self.assertRegex(text, "^fsfreeze is limited up to 300 seconds: not held until thaw: app: "
                               "lock lost: server has gone away after [0-9.]+ s$")
        self.assertEqual(self.host.call("guest-fsfreeze-thaw"), 0)
        report = self.host.call("guest-quiesce-report")["operations"][0]
        self.assertEqual((report["result"], report["ended-by"], report["level"]),
                         ("lost", "participant-lost", "filesystem"))
        self.assertEqual(self.app()["result"], "lost")
        self.assertEqual(self.app()["steps"][0]["verb"], "hold")
        self.assertEqual(self.app()["steps"][0]["result"], "lost")

    def test_degrade_lowers_the_level(self) -> None:
        self.start(f"{SAY} READY=1; exit 0", "OnFailure=degrade")
        self.host.call("guest-fsfreeze-freeze")
        wait_for(lambda: "level-reason" in self.host.call("guest-quiesce-status"), 5, "the loss",
                 self.bed)
        self.assertEqual(self.host.call("guest-quiesce-status")["state"], "frozen")
        thaw = self.host.call("guest-quiesce-thaw")
        self.assertEqual((thaw["held"], thaw["level"]), (True, "filesystem"))
        self.assertEqual(thaw["level-reason"],
                         "app: lock lost: it ended by itself (exit status 0)")

    def test_no_lock_no_freeze(self) -> None:
        self.start("echo access denied; exit 1")
        text = self.refused("guest-fsfreeze-freeze")
        self.assertEqual(text, "quiesce failed: app: freeze: access denied")
        self.assertFalse(self.bed.anything_frozen())

    def test_end_of_file_ignored(self) -> None:
        with open(self.bed.root / "quiesced.conf", "a", encoding="ascii") as conf:
            conf.write("[quiesce]\nthaw-budget=10\n")  # not over before the hook's own time is
        self.start(f"{SAY} READY=1; exec sleep 100", "Timeout=2")
        self.host.call("guest-fsfreeze-freeze")
        self.assertEqual(self.host.call("guest-fsfreeze-thaw"), 2)
        self.assertEqual(self.app()["steps"][-1]["result"], "timed-out")
        wait_for(lambda: not self.alive(), 5, "its end", self.bed)

    def test_a_service_that_died_lets_go(self) -> None:
        """By the end of file alone; the next start calls what the hook wants for it, no thaw."""
        self.start(conf="Verbs=abort")
        self.host.call("guest-fsfreeze-freeze")
        self.bed.kill()
        wait_for(lambda: not self.alive(), 5, "its end", self.bed)
        self.assertEqual(self.bed.hook_log(), ["app hold", "app let go"])
        self.serve()
        self.assertIn("the service was restarted", self.refused("guest-fsfreeze-thaw"))
        wait_for(lambda: self.bed.hook_log()[-1] == "app abort", 5, "the abort", self.bed)
        self.assertEqual(list(self.bed.root.glob("run/ready-*")), [])
        self.assertEqual(self.host.call("guest-fsfreeze-freeze"), 2)
        self.assertEqual(self.host.call("guest-fsfreeze-thaw"), 2)

    def test_what_ignores_the_death_of_the_service_is_ended(self) -> None:
        self.start(f"trap '' TERM; {SAY} READY=1; while :; do sleep 0.1; done")
        self.host.call("guest-fsfreeze-freeze")
        self.bed.kill()
        time.sleep(0.5)
        self.assertTrue(self.alive())
        self.serve()
        wait_for(lambda: not self.alive(), 20, "its end", self.bed)
        self.assertIn("the service was restarted", self.refused("guest-fsfreeze-thaw"))

    def test_a_killed_hook_is_seen_by_a_thaw_at_once(self) -> None:
        self.start()
        self.host.call("guest-fsfreeze-freeze")
        os.kill(self.pid(), signal.SIGKILL)
        while self.alive():  # until then it holds
            pass
        self.assertIn("app: lock lost: killed by signal 9", self.refused("guest-fsfreeze-thaw"))

    @unittest.skipIf(os.getuid() != 0, "only root can become another user")
    def test_as_another_user(self) -> None:
        self.bed.hook("who", 'echo "$(id -un) $(id -gn) $HOME $USER $LOGNAME $1"; exit 1',
                      "User=nobody\nVerbs=freeze")
        self.serve()
        who = pwd.getpwnam("nobody")
        group = grp.getgrgid(who.pw_gid).gr_name
        self.assertEqual(self.refused("guest-fsfreeze-freeze"),
                         "quiesce failed: who: freeze: "
                         f"nobody {group} {who.pw_dir} nobody nobody freeze")

    def test_stopping_the_service_lets_go(self) -> None:
        self.start()
        self.host.call("guest-fsfreeze-freeze")
        self.assertEqual(self.bed.stop(), 0)
        self.assertFalse(self.alive())
        self.assertEqual(self.bed.hook_log(), ["app hold", "app let go"])


if __name__ == "__main__":
    tap.main()
