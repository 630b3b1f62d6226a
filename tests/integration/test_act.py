"""The commands that change the machine: time, power, trim, processors, passwords, keys.

What they would do is written down instead (tests/fake/machine_ops_fake.c, scripts for programs).
"""

import errno

import tap
from testbed import Served, b64, wait_for


class Act(Served):
    """The texts and shapes are the stock agent's; where they differ docs/compatibility.md says so."""

    def fail_machine(self, name: str, number: int) -> None:
        (self.bed.root / f"run/machine-{name}").write_text(str(number))

    def silent(self, execute: str, **arguments) -> None:
        """No answer to a command that succeeds: the next answer is the ping's."""
        self.host.request(execute, **arguments)
        self.assertEqual(self.host.call("guest-ping"), {})

    # time

    def test_time_is_set_and_written_to_the_hardware(self) -> None:
        self.assertEqual(self.host.call("guest-set-time", time=1234567890123456789), {})
        self.assertEqual(self.bed.machine_log(), ["clock  1234567890123456789",
                                                  "rtc-write  1234567890"])

    def test_time_is_read_from_the_hardware(self) -> None:
        self.assertEqual(self.host.call("guest-set-time"), {})
        self.assertEqual(self.bed.machine_log(), ["rtc-read  0", "clock  1700000000000000000"])

    def test_time_that_cannot_be_set(self) -> None:
        self.fail_machine("clock", errno.EPERM)
        self.assertEqual(self.refused("guest-set-time", time=1),
                         "Failed to set time to guest: Operation not permitted")
        self.fail_machine("clock", 0)
        self.fail_machine("rtc-write", errno.EIO)
        self.assertIn("the time is set, but the hardware clock",
                      self.refused("guest-set-time", time=1))
        self.fail_machine("rtc-write", errno.ENOENT)  # there is no such clock
        self.assertEqual(self.host.call("guest-set-time", time=1), {})
        self.fail_machine("rtc-read", errno.ENOENT)
        self.assertIn("the hardware clock could not be read", self.refused("guest-set-time"))
        self.assertIn("Invalid argument", self.refused("guest-set-time", time=-1))

    def test_time_is_set_while_frozen(self) -> None:
        self.host.call("guest-fsfreeze-freeze")
        self.assertEqual(self.host.call("guest-set-time", time=10**18), {})
        self.host.call("guest-fsfreeze-thaw")

    def test_a_clock_that_hangs_holds_up_nobody(self) -> None:
        self.fail_machine("rtc-read", -4)
        self.host.request("guest-set-time")
        other = self.bed.host()
        self.assertLess(other.ping(), 3)
        other.close()
        self.assertEqual(self.host.reply()["return"], {})

    # power

    def test_shutdown_modes(self) -> None:
        for program in ("poweroff", "halt", "reboot"):
            self.bed.tool(program)
        self.silent("guest-shutdown")
        self.silent("guest-shutdown", mode="powerdown")
        self.silent("guest-shutdown", mode="halt")
        self.silent("guest-shutdown", mode="reboot")
        self.assertEqual(self.bed.tool_log(), ["poweroff ", "poweroff ", "halt ", "reboot "])
        self.assertEqual(self.refused("guest-shutdown", mode="x"),
                         "mode is invalid (valid values are: halt|powerdown|reboot")

    def test_shutdown_the_old_way_and_not_at_all(self) -> None:
        self.assertEqual(self.refused("guest-shutdown"),
                         "no program to shut down with has been found")
        self.bed.tool("shutdown")
        self.silent("guest-shutdown", mode="reboot")
        self.assertEqual(self.bed.tool_log(),
                         ["shutdown -h -r +0 hypervisor initiated shutdown"])
        self.bed.tool("poweroff", "echo not now >&2; exit 1")
        self.assertEqual(self.refused("guest-shutdown"),
                         "child process has failed to shutdown: poweroff: not now")

    def test_shutdown_while_frozen_thaws_first(self) -> None:
        self.assertEqual(self.host.call("guest-fsfreeze-freeze"), 2)
        self.bed.tool("poweroff", f'ls {self.bed.root}/fs/*/.frozen >{self.bed.root}/seen 2>&1; true')
        self.silent("guest-shutdown")
        self.assertEqual(self.bed.tool_log(), ["poweroff "])
        self.assertIn("No such file", (self.bed.root / "seen").read_text())
        self.assertEqual(self.host.call("guest-quiesce-status")["state"], "lost")
        self.assertIn("fsfreeze is limited up to", self.refused("guest-fsfreeze-thaw"))

    def test_suspend(self) -> None:
        power = self.bed.root / "sys/power"
        power.mkdir(parents=True)
        unsupported = "the requested suspend mode is not supported by the guest"
        self.bed.tool("systemctl")
        for mode in ("disk", "ram", "hybrid"):  # the kernel knows of none
            self.assertEqual(self.refused(f"guest-suspend-{mode}"), unsupported)
        (power / "state").write_text("freeze mem disk\n")
        for mode in ("disk", "ram", "hybrid"):
            self.silent(f"guest-suspend-{mode}")
        self.assertEqual(self.bed.tool_log(), ["systemctl hibernate", "systemctl suspend",
                                                  "systemctl hybrid-sleep"])
        self.bed.tool("systemctl", "echo no swap; exit 3")
        self.assertEqual(self.refused("guest-suspend-disk"),
                         "the helper program 'systemctl hibernate' returned an unexpected exit "
                         "status code (3): no swap")

    def test_suspend_without_systemd(self) -> None:
        power = self.bed.root / "sys/power"
        power.mkdir(parents=True)
        (power / "state").write_text("mem")
        self.silent("guest-suspend-ram")
        self.assertEqual((power / "state").read_text(), "mem")
        self.bed.tool("pm-suspend")
        self.silent("guest-suspend-ram")
        self.assertEqual(self.bed.tool_log(), ["pm-suspend "])
        self.host.call("guest-fsfreeze-freeze")
        self.assertIn("frozen state", self.refused("guest-suspend-ram", kind="CommandNotFound"))

    # trim

    def test_trim(self) -> None:
        reply = self.host.call("guest-fstrim", minimum=512)
        self.assertEqual(reply["paths"], [
            {"path": str(self.bed.directory(name)), "minimum": 512, "trimmed": 4096}
            for name in ("b", "a")])  # the last mounted first
        self.fail_machine("trim", errno.EOPNOTSUPP)
        paths = self.host.call("guest-fstrim")["paths"]
        self.assertEqual({entry["error"] for entry in paths}, {"trim not supported"})
        self.fail_machine("trim", errno.EIO)
        paths = self.host.call("guest-fstrim")["paths"]
        self.assertEqual({entry["error"] for entry in paths},
                         {"failed to trim: Input/output error"})

    def test_trim_stops_for_a_freeze(self) -> None:
        self.fail_machine("trim", -4)
        self.host.request("guest-fstrim")
        wait_for(lambda: self.bed.machine_log(), 5, "the first trim", self.bed)
        other = self.bed.host()
        self.assertEqual(other.call("guest-fsfreeze-freeze"), 2)
        paths = self.host.reply()["return"]["paths"]
        self.assertEqual(len(self.bed.machine_log()), 1)
        self.assertIn("trimmed", paths[0])
        self.assertEqual(paths[1]["error"], "failed to trim: the agent is in frozen state")
        self.assertEqual(other.call("guest-fsfreeze-thaw"), 2)
        other.close()

    # processors and memory

    def test_processors(self) -> None:
        cpus = self.bed.root / "sys/devices/system/cpu"
        for number in range(3):
            (cpus / f"cpu{number}").mkdir(parents=True)
        for number in (1, 2):
            (cpus / f"cpu{number}/online").write_text("1\n")

        def set_vcpus(*wanted):
            return self.host.call("guest-set-vcpus", vcpus=[
                {"logical-id": number, "online": online} for number, online in wanted])

        self.assertEqual(set_vcpus(), 0)
        self.assertEqual(set_vcpus((0, True), (1, False), (2, True)), 3)
        self.assertEqual((cpus / "cpu1/online").read_text(), "0\n")
        self.assertEqual(set_vcpus((1, True), (0, False), (2, False)), 1)
        self.assertEqual((cpus / "cpu2/online").read_text(), "1\n")
        for wanted, text in (
            ([{"logical-id": 0, "online": False}], "logical processor #0 can't be offlined"),
            ([{"logical-id": 9, "online": True}],
             f'open("{cpus}/cpu9/"): No such file or directory'),
            ([{"logical-id": 1}], "Parameter 'vcpus[0].online' is missing"),
            ([1], "Invalid parameter type for 'vcpus[0]', expected: object"),
            ([{"logical-id": 1, "online": True, "x": 1}], "Parameter 'vcpus[0].x' is unexpected"),
        ):
            self.assertEqual(self.refused("guest-set-vcpus", vcpus=wanted), text)

    def test_memory_blocks(self) -> None:
        def set_blocks(*numbers):
            return self.host.call("guest-set-memory-blocks", mem_blks=[
                {"phys-index": number, "online": False} for number in numbers])

        self.assertEqual(set_blocks(1), [
            {"phys-index": 1, "response": "operation-not-supported", "error-code": 2}])
        blocks = self.bed.root / "sys/devices/system/memory"
        (blocks / "memory1").mkdir(parents=True)
        (blocks / "memory2").mkdir()
        (blocks / "memory1/state").write_text("online\n")
        self.assertEqual(set_blocks(1, 2, 3, -1), [
            {"phys-index": 1, "response": "success"},
            {"phys-index": 2, "response": "operation-not-supported", "error-code": 2},
            {"phys-index": 3, "response": "not-found", "error-code": 2},
            {"phys-index": -1, "response": "not-found", "error-code": 2}])
        self.assertEqual((blocks / "memory1/state").read_text()[:7], "offline")

    # accounts

    def test_password(self) -> None:
        self.bed.tool("chpasswd", f"cat >>{self.bed.root}/passwords")
        for crypted in (False, True):
            self.assertEqual(self.host.call("guest-set-user-password", username="joe",
                                            password=b64("pass:word"), crypted=crypted), {})
        self.assertEqual(self.bed.tool_log(), ["chpasswd ", "chpasswd -e"])
        self.assertEqual((self.bed.root / "passwords").read_text(), "joe:pass:word\n" * 2)
        self.assertNotIn("pass:word", self.bed.log_text())

    def test_password_refused(self) -> None:
        def refused(username: str, password: str) -> str:
            return self.refused("guest-set-user-password", username=username, password=password,
                                crypted=False)

        self.assertIn("chpasswd: No such file", refused("joe", b64("x")))
        self.bed.tool("chpasswd", "cat; echo no such user; exit 1")
        self.assertEqual(refused("joe", b64("x")),
                         "child process has failed to set user password")
        self.assertIn("no such user", self.bed.log_text())
        self.assertEqual(len(self.bed.tool_log()), 1)
        self.assertEqual(refused("a:b", b64("x")), "forbidden characters in username")
        self.assertEqual(refused("a\nroot", b64("x")), "forbidden characters in username")
        for raw in ("a\nroot:x", "a\0b"):
            self.assertEqual(refused("joe", b64(raw)), "forbidden characters in raw password")
        self.assertEqual(refused("joe", "!"), "Base64 data contains invalid characters")
        self.assertEqual(len(self.bed.tool_log()), 1)

    def test_keys_refused(self) -> None:
        self.assertEqual(
            self.refused("guest-ssh-get-authorized-keys", username="no-such-user-here"),
            "failed to lookup user 'no-such-user-here': there is no such user")
        for key in ("# comment", "ssh-rsa A\nssh-rsa B", "ssh-rsa A\r"):
            for verb in ("add", "remove"):
                self.assertEqual(
                    self.refused(f"guest-ssh-{verb}-authorized-keys", username="no-such-user-here",
                                 keys=[key]), f"invalid OpenSSH public key: '{key}'")
        # What libvirt makes of the newline at the end of a file is no key, and no mistake.
        self.assertEqual(
            self.refused("guest-ssh-add-authorized-keys", username="no-such-user-here", keys=[""]),
            "failed to lookup user 'no-such-user-here': there is no such user")


if __name__ == "__main__":
    tap.main()
