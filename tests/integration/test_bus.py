"""Participants on D-Bus: called with the hooks in one sequence, refusing, late, dying, leaving."""

import os
import time

import bus_bed
from bus_bed import Application, BusBed, Client
import tap
import unittest
from testbed import AgentError, wait_for

VERDICT = "fsfreeze is limited up to 300 seconds: not held until thaw: "


class Sequence(unittest.TestCase):
    """One order for scripts and applications."""

    def test_hooks_and_applications_share_one_order(self):
        with BusBed() as bed:
            bed.hook("40-script")
            bed.start()
            first = Application(bed, "first", order=30)
            last = Application(bed, "last", order=60)
            host = bed.host()
            self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
            self.assertTrue(Client(bed).json("ListParticipants")["participants"][0]["held"])
            status = host.call("guest-quiesce-status")
            self.assertEqual(status["level"], "application")
            self.assertEqual([one["held"] for one in status["participants"]], [True] * 3)
            host.call("guest-fsfreeze-thaw")
            report = host.call("guest-quiesce-report")["operations"][0]
            freezes = {one["name"]: one["steps"][1]["start-ms"] for one in report["participants"]}
            self.assertLessEqual(freezes["first"], freezes["script"])
            self.assertLessEqual(freezes["script"], freezes["last"])
            for app in (first, last):
                self.assertEqual(app.calls, ["Prepare", "Freeze", "Thaw"])
            self.assertEqual(first.contexts[1]["mountpoints"],
                             [str(bed.directory("a")), str(bed.directory("b"))])
            self.assertEqual(first.contexts[1]["operation"], report["operation"])
            self.assertEqual(bed.order[-2:], ["last Thaw", "first Thaw"])

    def test_mountpoints_and_verbs_that_are_wanted(self):
        with BusBed() as bed:
            bed.start()
            other = Application(bed, "other", mountpoints=["/elsewhere"])
            slow = Application(bed, "slow", verbs=["prepare"])
            short = Application(bed, "short", verbs=["freeze", "thaw"],
                                mountpoints=[str(bed.directory("a"))])
            host = bed.host()
            host.call("guest-fsfreeze-freeze")
            host.call("guest-fsfreeze-thaw")
            self.assertEqual([one["held"] for one in Client(bed).json("ListParticipants")
                              ["participants"]], [False, False, False])
            self.assertEqual(slow.calls, ["Prepare"])
            self.assertEqual(other.calls, [])
            self.assertEqual(short.calls, ["Freeze", "Thaw"])

    def test_the_hosts_verdict_reaches_who_asked_for_it(self):
        with BusBed() as bed:
            bed.start()
            app = Application(bed, "app", verbs=["freeze", "thaw", "abort", "complete"])
            other = Application(bed, "other")
            host = bed.host()
            host.call("guest-fsfreeze-freeze")
            host.call("guest-fsfreeze-thaw")
            operation = host.call("guest-quiesce-report")["operations"][0]["operation"]
            host.call("guest-quiesce-complete", operation=operation, success=True)
            wait_for(lambda: app.calls[-1] == "Complete", 5, "the verdict", bed)
            self.assertEqual(app.contexts[-1]["success"], True)
            self.assertEqual(app.contexts[-1]["operation"], operation)
            self.assertNotIn("Complete", other.calls)
            wait_for(lambda: host.call("guest-quiesce-report")["operations"][0]["participants"][0]
                     ["steps"][-1]["verb"] == "complete", 5, "the report", bed)

    def test_refusal_tells_the_host_why(self):
        with BusBed() as bed:
            bed.hook("script")
            bed.start()
            app = Application(bed, "app", {"Freeze": "import\nrunning"}, order=80)
            host = bed.host()
            with self.assertRaises(AgentError) as caught:
                host.call("guest-fsfreeze-freeze")
            self.assertEqual(caught.exception.desc, "quiesce failed: app: freeze: import running")
            self.assertEqual(app.calls, ["Prepare", "Freeze", "Abort"])
            self.assertEqual(bed.hook_log()[-1], "script abort")
            step = host.call("guest-quiesce-report")["operations"][0]["participants"][-1]
            self.assertEqual(step["kind"], "dbus")
            self.assertEqual(step["steps"][1]["result"], "refused")

    def test_degrade_goes_on_without_it(self):
        with BusBed() as bed:
            bed.start()
            app = Application(bed, "app", {"Prepare": "no"}, on_failure="degrade")
            host = bed.host()
            host.call("guest-fsfreeze-freeze")
            status = host.call("guest-quiesce-status")
            self.assertEqual(status["level-reason"], "app: prepare: no")
            host.call("guest-fsfreeze-thaw")
            self.assertEqual(app.calls, ["Prepare", "Abort"])

    def test_no_answer_is_a_failure_in_time_and_a_late_one_changes_nothing(self):
        with BusBed() as bed:
            bed.start()
            app = Application(bed, "app", {"Freeze": 8}, timeout_ms=3000)
            mute = Application(bed, "mute", {"Prepare": None}, timeout_ms=700,
                               on_failure="degrade")
            host = bed.host()
            began = time.monotonic()
            with self.assertRaises(AgentError) as caught:
                host.call("guest-fsfreeze-freeze")
            self.assertLess(time.monotonic() - began, 7)
            self.assertRegex(caught.exception.desc, r"app: freeze: timed out after [3-9]\.\d s")
            wait_for(lambda: "app: answered freeze" in bed.log_text(), 20, "the late answer", bed)
            self.assertEqual(app.calls, ["Prepare", "Freeze", "Abort"])
            self.assertEqual(mute.calls, ["Prepare", "Abort"])
            app.answers = {}
            self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
            host.call("guest-fsfreeze-thaw")

    def test_answer_twice(self):
        from gi.repository import Gio

        with BusBed() as bed:
            bed.start()
            app = Application(bed, "app")

            def twice(connection, message, incoming):
                if incoming and message.get_member() == "Freeze":
                    for _ in range(2):
                        connection.send_message(Gio.DBusMessage.new_method_reply(message),
                                                Gio.DBusSendMessageFlags.NONE)
                return message

            app.connection.add_filter(twice)
            host = bed.host()
            for _ in range(2):
                self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
                self.assertEqual(host.call("guest-fsfreeze-thaw"), 2)


class Presence(unittest.TestCase):
    """Guard and bus name."""

    def held(self, bed: BusBed, **options):
        bed.start()
        app = Application(bed, "app", **options)
        host = bed.host()
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
        return app, host

    def test_leaving_ends_the_registration(self):
        with BusBed() as bed:
            bed.start()
            client = Client(bed)
            Application(bed, "closes").leave()
            gone = Application(bed, "goes")
            gone.close()
            wait_for(lambda: not client.json("ListParticipants")["participants"], 5, "none", bed)
            again = Application(bed, "closes")
            self.assertTrue(gone.hung_up(5))
            again.leave()
            again.guard = again.register("closes")
            self.assertFalse(again.hung_up(0.05))

    def test_guard_closed_while_held_is_a_lost_hold(self):
        with BusBed() as bed:
            app, host = self.held(bed)
            app.leave()
            wait_for(lambda: host.call("guest-quiesce-status")["state"] == "lost", 5, "lost", bed)
            self.assertTrue(bed.frozen("a"))
            with self.assertRaises(AgentError) as caught:
                host.call("guest-fsfreeze-thaw")
            self.assertRegex(caught.exception.desc,
                             VERDICT + "app: lock lost: it closed its guard after")
            self.assertEqual(host.call("guest-fsfreeze-thaw"), 0)
            report = host.call("guest-quiesce-report")["operations"][0]
            self.assertEqual(report["ended-by"], "participant-lost")
            self.assertEqual(report["participants"][0]["result"], "lost")
            self.assertFalse(bed.anything_frozen())

    def test_thaw_finds_a_guard_that_was_just_closed(self):
        with BusBed() as bed:
            app, host = self.held(bed)
            app.leave()
            with self.assertRaises(AgentError) as caught:
                host.call("guest-fsfreeze-thaw")
            self.assertIn("closed its guard", caught.exception.desc)

    def test_death_while_held_with_degrade_lowers_the_level(self):
        with BusBed() as bed:
            app, host = self.held(bed, on_failure="degrade")
            app.close()
            wait_for(lambda: host.call("guest-quiesce-status")["level"] == "filesystem", 5,
                     "the level", bed)
            self.assertEqual(host.call("guest-fsfreeze-thaw"), 2)
            report = host.call("guest-quiesce-report")["operations"][0]
            self.assertEqual(report["level-reason"], "app: lock lost: it left the bus")

    def test_death_during_a_verb(self):
        with BusBed() as bed:
            bed.start()
            app = Application(bed, "app", {"Freeze": None})
            host = bed.host()
            host.request("guest-fsfreeze-freeze")
            wait_for(lambda: "Freeze" in app.calls, 5, "the call", bed)
            app.close()
            self.assertRegex(host.reply()["error"]["desc"],
                             "quiesce failed: app: freeze: .*left the bus before it answered")
            self.assertFalse(bed.anything_frozen())

    def test_death_of_the_service_hangs_up(self):
        with BusBed() as bed:
            bed.hook("script")
            app, host = self.held(bed)
            self.assertFalse(app.hung_up(0))
            bed.kill()
            self.assertTrue(app.hung_up(5))
            host.close()
            bed.start()
            host = bed.host()
            with self.assertRaises(AgentError) as caught:
                host.call("guest-fsfreeze-thaw")
            self.assertRegex(caught.exception.desc, VERDICT + "the service was restarted")
            self.assertIn("script abort", bed.hook_log())
            report = host.call("guest-quiesce-report")["operations"][0]
            self.assertEqual([one["kind"] for one in report["participants"]], ["hook", "dbus"])
            self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
            host.call("guest-fsfreeze-thaw")

    def test_stop_of_the_service_aborts_and_hangs_up(self):
        with BusBed() as bed:
            app, _host = self.held(bed)
            self.assertEqual(bed.stop(), 0)
            self.assertTrue(app.hung_up(5))
            self.assertEqual(app.calls[-1], "Abort")


class Bus(unittest.TestCase):
    """The bus comes, goes, and comes again."""

    def test_restart_while_frozen(self):
        with BusBed() as bed:
            bed.start()
            app = Application(bed, "app")
            host = bed.host()
            host.call("guest-fsfreeze-freeze")
            bed.stop_bus()
            bed.start_bus()
            bed.on_bus()
            client = Client(bed)
            status = client.json("Status")
            self.assertEqual((status["state"], status["level"]), ("frozen", "application"))
            self.assertEqual(client.json("ListParticipants")["participants"], [])
            self.assertFalse(app.hung_up(0))
            again = Application(bed, "app")
            self.assertEqual(host.call("guest-fsfreeze-thaw"), 2)
            self.assertTrue(app.hung_up(5), "the old guard means Abort")
            report = host.call("guest-quiesce-report")["operations"][0]
            self.assertEqual((report["result"], report["level"]), ("ok", "application"))
            self.assertIn("bus", report["participants"][0]["steps"][-1]["reason"])
            host.call("guest-fsfreeze-freeze")
            host.call("guest-fsfreeze-thaw")
            self.assertEqual(again.calls, ["Prepare", "Freeze", "Thaw"])

    def test_goes_while_thawed_and_comes_later(self):
        with BusBed() as bed:
            bed.start()
            app = Application(bed, "app")
            host = bed.host()
            host.call("guest-fsfreeze-freeze")
            host.call("guest-fsfreeze-thaw")
            bed.stop_bus()
            self.assertTrue(app.hung_up(5))
            self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
            host.call("guest-fsfreeze-thaw")
            bed.start_bus()
            bed.on_bus()

    def test_started_before_the_bus(self):
        with BusBed() as bed:
            super(BusBed, bed).start()
            self.assertEqual(bed.host().call("guest-fsfreeze-status"), "thawed")
            bed.start_bus()
            bed.on_bus()

    def test_a_bus_that_says_nothing_holds_up_nobody(self):
        import socket

        with BusBed() as bed:
            mute = socket.socket(socket.AF_UNIX)
            mute.bind(str(bed.root / "bus"))
            mute.listen(1)
            super(BusBed, bed).start()
            host = bed.host()
            self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
            self.assertEqual(host.call("guest-fsfreeze-thaw"), 2)
            mute.close()
            self.assertEqual(bed.stop(), 0)


if __name__ == "__main__":
    bus_bed.run_loop()
    assert os.environ.get("QUIESCED_TESTBED")
    tap.main()
