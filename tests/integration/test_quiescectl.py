"""quiescectl as people use it: check without a service, and what it says when nobody is there.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import tap

PROGRAM = os.environ.get("QUIESCECTL_TESTBED", "build/quiescectl-testbed")


class Ctl(unittest.TestCase):
    """A configuration, a folder of hooks, and no bus."""

    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="quiescectl-"))
        self.addCleanup(shutil.rmtree, self.root)
        os.chmod(self.root, 0o755)
        self.hooks = self.root / "hooks.d"
        self.hooks.mkdir(mode=0o755)
        self.config("")

    def config(self, text: str) -> None:
        (self.root / "quiesced.conf").write_text(
            f"[hooks]\ndirectories={self.hooks}\nstock-directory={self.root}/stock\n{text}")

    def hook(self, name: str, text: str, mode: int = 0o755) -> Path:
        path = self.hooks / name
        path.write_bytes(text.encode())
        path.chmod(mode)
        return path

    def run_ctl(self, *arguments: str) -> subprocess.CompletedProcess:
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
                       "QUIESCED_TEST_OWNER": str(os.getuid()),
                       "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.root}/no-bus"}
        return subprocess.run([PROGRAM, *arguments], env=environment, capture_output=True,
                              text=True, timeout=30, check=False)


class Offline(Ctl):
    """Configuration and hooks of an image that is being built."""

    def check(self, *arguments: str) -> tuple[int, str]:
        result = self.run_ctl("check", "--offline", f"--config={self.root}/quiesced.conf",
                              *arguments)
        self.assertEqual(result.stderr, "")
        return result.returncode, result.stdout

    def test_all_is_well(self) -> None:
        self.hook("40-shop", "#!/bin/sh\nexit 0\n")
        status, text = self.check()
        self.assertEqual(status, 0, text)
        self.assertIn("40  shop", text)
        self.assertIn("1 hooks, 0 errors, 0 warnings", text)

    def test_a_wrong_value_is_told_with_file_and_line(self) -> None:
        self.config("[quiesce]\nfrozen-limit=soon\n")
        status, text = self.check()
        self.assertEqual(status, 1)
        self.assertIn(f"{self.root}/quiesced.conf:5:", text)

    def test_a_configuration_that_was_named_must_be_there(self) -> None:
        (self.root / "quiesced.conf").unlink()
        status, text = self.check()
        self.assertEqual(status, 1)
        self.assertIn("quiesced.conf", text)

    def test_an_unknown_host_profile(self) -> None:
        self.config("[quiesce]\nhost=kubvirt\n")
        status, text = self.check()
        self.assertEqual(status, 1)
        self.assertIn("'kubvirt' is not known here", text)

    def test_a_refused_hook_is_an_error_with_its_reason(self) -> None:
        self.hook("shop", "#!/bin/sh\n", 0o777)
        status, text = self.check()
        self.assertEqual(status, 1)
        self.assertIn(f"error: {self.hooks}/shop: refused: ", text)

    def test_a_wrong_hook_configuration_has_file_and_line(self) -> None:
        path = self.hook("shop", "#!/bin/sh\n")
        Path(f"{path}.conf").write_text("[Hook]\nTimeout=never\n")
        status, text = self.check()
        self.assertEqual(status, 1)
        self.assertIn(f"{path}.conf:2:", text)

    def test_lines_that_end_as_on_windows(self) -> None:
        path = self.hook("shop", "#!/bin/sh\r\nexit 0\r\n")
        status, text = self.check()
        self.assertEqual(status, 1)
        self.assertIn(f"error: {path}:1: the line ends as on Windows", text)

    def test_an_interpreter_that_is_not_there(self) -> None:
        path = self.hook("shop", "#!/usr/bin/no-such-shell -e\n")
        status, text = self.check()
        self.assertEqual(status, 1)
        self.assertIn(f"error: {path}:1: the interpreter /usr/bin/no-such-shell: ", text)

    def test_a_script_without_interpreter_is_a_warning(self) -> None:
        self.hook("shop", "exit 0\n")
        status, text = self.check()
        self.assertEqual(status, 0)
        self.assertIn("warning: ", text)
        self.assertIn("begin with #!/bin/sh", text)

    def test_json_says_the_same(self) -> None:
        self.hook("shop", "#!/bin/sh\n", 0o777)
        status, text = self.check("--json")
        self.assertEqual(status, 1)
        self.assertEqual(len(text.splitlines()), 1)
        result = json.loads(text)
        self.assertFalse(result["ok"])
        self.assertEqual(result["hooks"][0]["action"], "refused")
        self.assertIn("refused", result["errors"][0])

    def test_no_escape_sequences_in_a_pipe(self) -> None:
        self.hook("shop", "#!/bin/sh\n", 0o777)
        self.assertNotIn("\033", self.check()[1])


class Alone(Ctl):
    """Without a bus, and used wrongly."""

    def test_no_bus_is_status_3_and_says_what_to_do(self) -> None:
        for command in ("status", "plan", "participants", "history", "show", "thaw", "monitor",
                        "metrics", "freeze"):
            result = self.run_ctl(command)
            self.assertEqual(result.returncode, 3, command)
            self.assertEqual(result.stdout, "", command)
            self.assertIn("the system bus cannot be reached", result.stderr, command)

    def test_check_without_a_bus_only_warns(self) -> None:
        result = self.run_ctl("check", f"--config={self.root}/quiesced.conf")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn("warning: the service was not asked: the system bus", result.stdout)

    def test_wrong_usage_is_status_2_and_one_line(self) -> None:
        for arguments in ((), ("stat",), ("status", "x"), ("status", "--rehearse"),
                          ("history", "--lines=101"), ("history", "--lines=x"), ("--no-such",),
                          ("freeze", "--limit=-1"), ("thaw", "a", "b"), ("plan", "--offline")):
            result = self.run_ctl(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertEqual(result.stdout, "", arguments)
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
            self.assertIn("see quiescectl --help", result.stderr)

    def test_help_and_version(self) -> None:
        result = self.run_ctl("--help")
        self.assertEqual(result.returncode, 0)
        for word in ("status", "rehearse", "Exit status"):
            self.assertIn(word, result.stdout)
        self.assertRegex(self.run_ctl("--version").stdout, r"^quiescectl \d+\.\d+")


class Completion(unittest.TestCase):
    """What bash offers; the words of both shells are the program's own."""

    FILES = Path(os.environ.get("SRCDIR", ".")) / "packaging/completion"

    def complete(self, *words: str) -> list[str]:
        script = (f"source {self.FILES}/quiescectl.bash; COMP_WORDS=({' '.join(words)} ''); "
                  f"COMP_CWORD={len(words)}; _quiescectl; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True,
                              timeout=20).stdout.split()

    def commands(self) -> list[str]:
        text = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True,
                              timeout=20).stdout
        block = text.split("Commands:\n")[1].split("\n\n")[0]
        return [line.split()[0] for line in block.splitlines()]

    def test_every_command_is_offered(self) -> None:
        self.assertEqual(sorted(self.complete("quiescectl")), sorted(self.commands()))

    def test_nothing_but_options_behind_a_command_without_arguments(self) -> None:
        self.assertEqual(self.complete("quiescectl", "status"), [])

    def test_zsh_knows_the_same_commands(self) -> None:
        text = (self.FILES / "_quiescectl").read_text()
        for command in self.commands():
            self.assertIn(f"'{command}:", text)

    def test_the_man_page_has_every_command_and_option(self) -> None:
        page = (Path(os.environ.get("SRCDIR", ".")) / "docs/man/quiescectl.1").read_text()
        for command in self.commands():
            self.assertRegex(page, rf"(?m)^\.B[R]? {command}\b", command)
        for option in ("json", "config", "offline", "lines", "rehearse", "limit", "version"):
            self.assertIn(f"\\-\\-{option}", page)


if __name__ == "__main__":
    tap.main()
