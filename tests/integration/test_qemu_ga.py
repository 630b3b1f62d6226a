"""The program started under the name qemu-ga: options, file, environment, output, exit status."""

import os
import re
import signal
import subprocess
import unittest
from pathlib import Path

import tap
from testbed import Host, Testbed, wait_for

DUMP = """[general]
daemon=false
method=virtio-serial
path=/dev/virtio-ports/org.qemu.guest_agent.0
pidfile=/var/run/qemu-ga.pid
statedir=/var/run
verbose=false
retry-path=false
block-rpcs=
allow-rpcs=
"""
STOCK_NAMES = {"guest-sync-delimited", "guest-sync", "guest-ping", "guest-info",
               "guest-fsfreeze-status", "guest-fsfreeze-freeze", "guest-fsfreeze-freeze-list",
               "guest-fsfreeze-thaw"}


class QemuGa(unittest.TestCase):
    """One directory per case; quiesced.conf keeps hooks of this machine out and has no channel."""

    def setUp(self) -> None:
        self.bed = Testbed()
        self.addCleanup(self.bed.__exit__)
        (self.bed.root / "quiesced.conf").write_text(
            f"[quiesce]\nhost=default\n[hooks]\ndirectories={self.bed.root}/hooks\n")
        self.conf = self.bed.root / "qemu-ga.conf"

    def run_once(self, *options: str, **environment: str) -> subprocess.CompletedProcess:
        """Until it ends by itself."""
        return subprocess.run([self.bed.program("qemu-ga"), *options], timeout=20,
                              capture_output=True, text=True, check=False,
                              env={**self.bed.environment(), **environment}, cwd=self.bed.root)

    def prints(self, *options: str, **environment: str) -> str:
        result = self.run_once(*options, **environment)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    def refuses(self, *options: str, **environment: str) -> str:
        result = self.run_once(*options, **environment)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        return result.stderr

    @staticmethod
    def connects(path) -> bool:
        """It is there before it listens."""
        try:
            Host(path).close()
            return True
        except OSError:
            return False

    def serve(self, *options: str, socket: str = "sock", **popen) -> Host:
        """In the foreground; connected to its socket."""
        path = self.bed.root / socket
        self.bed.process = subprocess.Popen(
            [self.bed.program("qemu-ga"), *options], env=self.bed.environment(),
            stdin=subprocess.DEVNULL, stdout=self.bed.log, stderr=self.bed.log,
            cwd=self.bed.root, **popen)
        wait_for(lambda: self.connects(path), 10, "the socket", self.bed)
        host = Host(path)
        self.addCleanup(host.close)
        wait_for(lambda: host.call("guest-quiesce-status")["ready"], 10, "the keeper", self.bed)
        return host

    def enabled(self, host: Host) -> set[str]:
        return {one["name"] for one in host.call("guest-info")["supported_commands"]
                if one["enabled"]}

    def test_version_is_what_tools_match(self) -> None:
        for option in ("-V", "--version"):
            self.assertRegex(self.prints(option), r"^QEMU Guest Agent \d+\.\d+\.\d+ \(quiesced ")

    def test_help_names_every_option(self) -> None:
        text = self.prints("--help")
        for option in ("-c", "--config", "-m", "--method", "-p", "--path", "-l", "--logfile", "-f",
                       "--pidfile", "-F", "--fsfreeze-hook", "-t", "--statedir", "-v", "--verbose",
                       "-d", "--daemonize", "-b", "--block-rpcs", "-a", "--allow-rpcs", "-D",
                       "--dump-conf", "-r", "--retry-path", "-V", "-h"):
            self.assertIn(option, text)

    def test_help_of_a_list_prints_the_commands(self) -> None:
        for options in (("-b", "help"), ("-b?",), ("--block-rpcs=help",), ("-a", "?")):
            self.assertLessEqual(STOCK_NAMES, set(self.prints(*options).split("\n")))

    def test_dump_without_anything_is_the_stock_one(self) -> None:
        self.assertEqual(self.prints("-D"), DUMP)
        self.assertEqual(self.prints("--dump-conf"), DUMP)

    def test_dump_of_a_file_reads_back(self) -> None:
        self.conf.write_text(
            "[general]\ndaemon=true\nmethod=unix-listen\npath=/tmp/x\nlogfile=/tmp/l\n"
            "verbose=1\nblock-rpcs=guest-ping;guest-get-time\nfsfreeze-hook=/etc/foo\n"
            "pidfile=/tmp/p\nstatedir=/tmp/s\nretry-path=true\nallow-rpcs=guest-info\n")
        text = self.prints("-D")
        self.assertEqual(text, "[general]\ndaemon=true\nmethod=unix-listen\npath=/tmp/x\n"
                         "logfile=/tmp/l\npidfile=/tmp/p\nfsfreeze-hook=/etc/foo\n"
                         "statedir=/tmp/s\nverbose=true\nretry-path=true\n"
                         "block-rpcs=guest-ping;guest-get-time\nallow-rpcs=guest-info\n")
        self.conf.write_text(text)
        self.assertEqual(self.prints("-D"), text)

    def test_options_go_over_the_file_and_lists_add_up(self) -> None:
        self.conf.write_text("[general]\nmethod=unix-listen\npath=/tmp/x\nblock-rpcs=guest-exec\n")
        text = self.prints("-D", "-m", "isa-serial", "--pa", "/dev/ttyS9", "-bguest-ping", "-F",
                           "--blacklist=guest-info", "-v", "word")
        for line in ("method=isa-serial", "path=/dev/ttyS9", "verbose=true",
                     "block-rpcs=guest-exec,guest-ping,guest-info",
                     "fsfreeze-hook=/etc/qemu/fsfreeze-hook"):
            self.assertIn(line + "\n", text)
        self.assertIn("fsfreeze-hook=/etc/x\n", self.prints("-D", "-F/etc/x"))
        self.assertIn("path=/dev/ttyS0\n", self.prints("-D", "-misa-serial", "-c", os.devnull))

    def test_which_file_is_read(self) -> None:
        other, third = self.bed.root / "other.conf", self.bed.root / "third.conf"
        for path, word in ((self.conf, "a"), (other, "b"), (third, "c")):
            path.write_text(f"[general]\nstatedir=/{word}\n")
        self.assertIn("statedir=/a\n", self.prints("-D"))
        self.assertIn("statedir=/b\n", self.prints("-D", QGA_CONF=str(other)))
        self.assertIn("statedir=/c\n", self.prints("-D", "-c", str(third), QGA_CONF=str(other)))
        self.conf.unlink()
        self.assertEqual(self.prints("-D"), DUMP)
        self.assertEqual(self.prints("-D", QGA_CONF="/nonexistent"), DUMP)
        self.assertIn("/nonexistent", self.refuses("-D", "--config=/nonexistent"))

    def test_what_is_wrong_ends_with_status_1(self) -> None:
        for options, text in (
            (("--nope",), "try '"), (("-Z",), "try '"), (("-l",), "requires an argument"),
            (("-m", "bogus", "-p", "/x"), "'bogus' is not known here"),
            (("-m", "unix-listen"), "must specify a path"),
            (("-D", "-m", "vsock-listen"), "must specify a path"),
            (("-m", "vsock-listen", "-p", "garbage"), "garbage"),
            (("-m", "unix-listen", "-p", "/nonexistent/sock"), "/nonexistent/sock"),
            (("-m", "unix-listen", "-p", "s", "-l", "/nonexistent/log"), "/nonexistent/log"),
            (("-b", "guest exec"), "'guest exec' is not the name of a command"),
            (("-d", "-m", "unix-listen", "-p", "s", "-f", "/nonexistent/pid"), "/nonexistent/pid"),
            (("-d", "-m", "unix-listen", "-p", "/nonexistent/s", "-f", "p", "-l", "l"), ""),
        ):
            with self.subTest(options):
                self.assertIn(text, self.refuses(*options))
        self.assertIn("/nonexistent/s", (self.bed.root / "l").read_text())
        self.assertFalse((self.bed.root / "p").exists())

    def test_a_wrong_file_is_told_with_its_line(self) -> None:
        self.conf.write_text("[general]\nverbose=maybe\n")
        self.assertIn(f"{self.conf}:2: [general] verbose: 'maybe'", self.refuses("-D"))
        self.conf.write_text("garbage\n")
        self.assertIn(f"{self.conf}:1: ", self.refuses("-D"))
        self.conf.write_text("[general]\nblock-rpc=guest-exec\n[other]\na=1\n")
        result = self.run_once("-D")
        self.assertEqual((result.returncode, result.stdout), (0, DUMP))
        self.assertIn(f"{self.conf}:2: [general] block-rpc is not known and ignored", result.stderr)
        self.assertIn(f"{self.conf}:4: [other] a is not known", result.stderr)

    def test_both_separators_block(self) -> None:
        """The stock agent blocks nothing when names stand between ';'."""
        for text in ("guest-ping;guest-sync", "guest-ping,guest-sync", "guest-ping; guest-sync"):
            self.conf.write_text(f"[general]\nmethod=unix-listen\npath=sock\nblock-rpcs={text}\n")
            host = self.serve()
            host.request("guest-ping")
            self.assertEqual(host.reply()["error"], {
                "class": "CommandNotFound", "desc":
                "Command guest-ping has been disabled: the command is not allowed"})
            self.assertTrue({"guest-ping", "guest-sync"}.isdisjoint(self.enabled(host)))
            host.close()
            self.assertEqual(self.bed.stop(), 0)

    def test_block_wins_over_allow_and_frozen_over_both(self) -> None:
        host = self.serve(
            "-m", "unix-listen", "-p", "sock", "-b", "guest-ping", "-a",
            "guest-ping,guest-info,guest-fsfreeze-freeze,guest-fsfreeze-thaw,guest-quiesce-status")
        self.assertEqual(self.enabled(host), {"guest-info", "guest-fsfreeze-freeze",
                                              "guest-fsfreeze-thaw", "guest-quiesce-status"})
        for name in ("guest-ping", "guest-sync"):
            host.request(name)
            self.assertIn("the command is not allowed", host.reply()["error"]["desc"])
        self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
        host.request("guest-fsfreeze-freeze")
        self.assertIn("the agent is in frozen state", host.reply()["error"]["desc"])
        host.request("guest-ping")
        self.assertIn("has been disabled", host.reply()["error"]["desc"])
        self.assertEqual(host.call("guest-fsfreeze-thaw"), 2)

    def test_what_quiesced_conf_blocks_stays_blocked(self) -> None:
        with open(self.bed.root / "quiesced.conf", "a", encoding="ascii") as conf:
            conf.write("[rpc]\nblock=guest-sync\n")
        host = self.serve("-m", "unix-listen", "-p", "sock", "-b", "guest-ping")
        self.assertTrue({"guest-ping", "guest-sync"}.isdisjoint(self.enabled(host)))

    def test_hook_runs_only_when_asked_for(self) -> None:
        """As in the stock agent: fsfreeze-hook.d alone is inert."""
        self.bed.hook("app", stock=True)
        host = self.serve("-m", "unix-listen", "-p", "sock")
        host.call("guest-fsfreeze-freeze")
        host.call("guest-fsfreeze-thaw")
        self.assertEqual(self.bed.hook_log(), [])
        host.close()
        self.assertEqual(self.bed.stop(), 0)
        host = self.serve("-m", "unix-listen", "-p", "sock", "-Fstock/app")
        host.call("guest-fsfreeze-freeze")
        host.call("guest-fsfreeze-thaw")
        self.assertEqual(self.bed.hook_log(), ["app freeze", "app thaw"])

    def test_log_file_is_appended_to(self) -> None:
        log = self.bed.root / "agent.log"
        log.write_text("before\n")
        self.serve("-m", "unix-listen", "-p", "sock", "-l", "agent.log", "--verbose")
        wait_for(lambda: re.search(r"(?m)^qemu-ga: (info|debug): ", log.read_text()), 5, "a line",
                 self.bed)
        self.assertTrue(log.read_text().startswith("before\n"))

    def test_daemon_serves_when_its_starter_ends(self) -> None:
        pidfile = self.bed.root / "pid"
        options = ("-d", "-m", "unix-listen", "-p", "sock", "-f", "pid", "-l", "log2", "-t", ".")
        self.assertEqual(self.prints(*options), "")
        pid = int(pidfile.read_text())
        try:
            host = Host(self.bed.root / "sock")
            self.assertEqual(host.call("guest-ping"), {})
            host.close()
            self.assertEqual(os.stat(pidfile).st_mode & 0o777, 0o600)
            self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
            self.assertNotEqual(os.getsid(pid), os.getsid(0))
            self.assertIn("another agent runs with it", self.refuses(*options))
            self.assertEqual(int(pidfile.read_text()), pid)
        finally:
            os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not pidfile.exists(), 10, "the pid file to go")
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), 10, "its end")

    def test_a_socket_from_the_service_manager(self) -> None:
        import socket
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.bed.root / "given"))
        listener.listen()

        def hand_over() -> None:
            os.dup2(listener.fileno(), 3, inheritable=True)
            os.environ["LISTEN_PID"] = str(os.getpid())

        # LISTEN_PID is that of the process started, which only it knows.
        script = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" -m unix-listen'
        self.bed.process = subprocess.Popen(
            ["sh", "-c", script, self.bed.program("qemu-ga")], env=self.bed.environment(),
            stdin=subprocess.DEVNULL, stdout=self.bed.log, stderr=self.bed.log, pass_fds=(3,),
            preexec_fn=hand_over)
        host = Host(self.bed.root / "given")
        self.assertEqual(host.call("guest-ping"), {})
        host.close()

    def test_terminated_while_frozen_it_thaws(self) -> None:
        """The stock agent ignores SIGTERM then."""
        host = self.serve("-m", "unix-listen", "-p", "sock")
        host.call("guest-fsfreeze-freeze")
        self.assertTrue(self.bed.anything_frozen())
        self.assertEqual(self.bed.stop(), 0)
        self.assertFalse(self.bed.anything_frozen())

    def test_under_its_own_name_nothing_of_this_counts(self) -> None:
        self.conf.write_text("garbage\n")
        result = subprocess.run([self.bed.program("quiesced"), "-D"], capture_output=True,
                                text=True, timeout=20, check=False, env=self.bed.environment())
        self.assertEqual(result.returncode, 2)
        self.assertIn("unknown option", result.stderr)


if __name__ == "__main__":
    tap.main()
