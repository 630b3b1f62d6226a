"""SIGHUP: the configuration is read again, beside everything else, and a bad one changes nothing."""

import signal

import tap
from testbed import Served, wait_for

BLOCK = "[rpc]\nblock=guest-get-users\n"


class Reload(Served):
    """Each changes the file of a running service."""

    def setUp(self) -> None:
        super().setUp()
        self.conf = self.bed.root / "quiesced.conf"
        self.good = self.conf.read_text()

    def hang_up(self) -> None:
        assert self.bed.process
        self.bed.process.send_signal(signal.SIGHUP)

    def said(self, text: str, count: int = 1) -> None:
        wait_for(lambda: self.bed.log_text().count(text) >= count, 5, text, self.bed)

    def is_blocked(self) -> bool:
        names = self.host.call("guest-info")["supported_commands"]
        return not next(c["enabled"] for c in names if c["name"] == "guest-get-users")

    def test_what_changed_holds_at_once(self) -> None:
        self.assertFalse(self.is_blocked())
        self.conf.write_text(self.good + BLOCK)
        self.hang_up()
        self.said("Configuration reloaded")
        self.assertTrue(self.is_blocked())
        self.assertIn("guest-get-users", self.refused("guest-get-users", kind="CommandNotFound"))

    def test_a_wrong_value_leaves_the_old_one(self) -> None:
        self.conf.write_text(self.good + BLOCK + "[quiesce]\nfrozen-limit=soon\n")
        self.hang_up()
        self.said("Configuration not reloaded, the old one stays")
        line = self.conf.read_text().count("\n")
        self.assertIn(f"quiesced.conf:{line}: ", self.bed.log_text())
        self.assertFalse(self.is_blocked())

    def test_asked_again_and_again(self) -> None:
        times = []
        for number in range(20):
            self.conf.write_text(self.good + BLOCK * (number % 2))
            self.hang_up()
            times.append(self.host.ping())
        self.assertLess(sorted(times)[10], 1)  # one that is late may be this machine's
        wait_for(self.is_blocked, 5, "the last one", self.bed)


if __name__ == "__main__":
    tap.main()
