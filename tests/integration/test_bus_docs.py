"""The examples of docs/participants.md, as they stand there: built, run, asked."""

import os
import re
import shlex
import subprocess
import sys
import unittest

import bus_bed
from bus_bed import SOURCE, BusBed, Client
import tap
from testbed import wait_for

TEXT = (SOURCE / "docs/participants.md").read_text()


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


class Examples(unittest.TestCase):
    """Each registers, stops and goes on."""

    def takes_part(self, bed: BusBed, command: list[str],
                   says: tuple[str, str] = ("stop writing", "go on")) -> None:
        environment = {"DBUS_SYSTEM_BUS_ADDRESS": bed.address, "PATH": os.environ["PATH"],
                       "ASAN_OPTIONS": "detect_leaks=0"}
        with open(bed.root / "said", "wb") as output:
            app = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        said = (bed.root / "said").read_text
        try:
            client = Client(bed)
            wait_for(lambda: client.json("ListParticipants")["participants"], 20,
                     f"the example: {said()}", bed)
            host = bed.host()
            self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
            self.assertEqual(host.call("guest-quiesce-status")["level"], "application")
            self.assertEqual(host.call("guest-fsfreeze-thaw"), 2)
            self.assertEqual(said().splitlines(), list(says))
        finally:
            app.kill()
            app.wait()

    def compiled(self, bed: BusBed, code: str, library: str) -> list[str]:
        (bed.root / "app.c").write_text(code)
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", library], check=True,
                               capture_output=True, text=True).stdout
        compiler = shlex.split(os.environ.get("CC") or "cc")
        subprocess.run([*compiler, "-Wall", "-Werror", "-o", str(bed.root / "app"),
                        str(bed.root / "app.c"), *shlex.split(flags)], check=True)
        return [str(bed.root / "app")]

    def python(self, code: str, *says: tuple[str, str]) -> None:
        try:
            import dbus  # noqa: F401
        except ImportError:
            self.skipTest("python3-dbus is not installed")
        with BusBed() as bed:
            bed.start()
            self.takes_part(bed, [sys.executable, "-c", code], *says)

    def test_five_lines(self):
        code = examples("python")[0]
        self.assertEqual(len(code.splitlines()), 5)
        self.python(code, ("Freeze", "Thaw"))

    def test_python(self):
        self.python(examples("python")[1])

    def test_sd_bus(self):
        with BusBed() as bed:
            bed.start()
            self.takes_part(bed, self.compiled(bed, examples("c")[0], "libsystemd"))

    def test_gdbus(self):
        with BusBed() as bed:
            bed.start()
            self.takes_part(bed, self.compiled(bed, examples("c")[1], "gio-unix-2.0"))


if __name__ == "__main__":
    bus_bed.run_loop()
    tap.main()
