"""A service in a temporary directory: invented mounts, hooks and host, a keeper that cannot freeze.

The service is the real one, built with its paths from the environment. Its keeper is the real one
with recorded calls instead of the ioctls (tests/fake/keeper_fake_ops.c has the ways to inject
faults), so that no filesystem of the machine can be frozen from here.
"""

import base64
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

SERVICE = os.environ.get("QUIESCED_TESTBED", "build/quiesced-testbed")
KEEPER = os.environ.get("QUIESCED_KEEPER_FAKE", "build/quiesced-keeper-fake")
SPEED = 1.0  # what a wait of the tests is multiplied by
PATIENCE_SECONDS = 15  # no wait gives up before: a busy machine is no fault of what is tested


class Host:
    """One host connection to a channel's unix socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, execute: str, /, **arguments) -> None:
        message = {"execute": execute}
        if arguments:
            message["arguments"] = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.send(json.dumps(message).encode() + b"\n")

    def line(self, timeout: float = 20) -> bytes:
        """The next reply line, without its newline."""
        self.socket.settimeout(timeout)
        parts = [self.buffer]
        while b"\n" not in parts[-1]:
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError("the agent closed the connection")
            parts.append(data)
        last, self.buffer = parts[-1].split(b"\n", 1)
        return b"".join([*parts[:-1], last])

    def reply(self, timeout: float = 20) -> dict:
        return json.loads(self.line(timeout).lstrip(b"\xff"))

    def call(self, execute: str, /, timeout: float = 20, **arguments):
        """The returned value; an error object raises AgentError."""
        self.request(execute, **arguments)
        reply = self.reply(timeout)
        if "error" in reply:
            raise AgentError(reply["error"])
        return reply["return"]

    def ping(self) -> float:
        """How long the answer took, in seconds."""
        began = time.monotonic()
        self.call("guest-ping")
        return time.monotonic() - began

    def quiet(self, seconds: float) -> bool:
        """Whether nothing arrives for so long."""
        self.socket.settimeout(seconds)
        try:
            self.buffer += self.socket.recv(65536)
        except (TimeoutError, socket.timeout):
            return True
        return False

    def close(self) -> None:
        self.socket.close()


class AgentError(Exception):
    """An error reply."""

    def __init__(self, error: dict) -> None:
        super().__init__(error["desc"])
        self.kind = error["class"]
        self.desc = error["desc"]


class Testbed:
    """Starts and stops the service; use as a context manager."""

    def __init__(self, filesystems=("a", "b"), config: str = "", profile: str = "default") -> None:
        self.root = Path(tempfile.mkdtemp(prefix="quiesced-"))
        self.filesystems = list(filesystems)
        self.profile = profile
        self.process: subprocess.Popen | None = None
        for name in ("hooks", "run", "sys", "proc/sys/vm", "dmi", "fs"):
            (self.root / name).mkdir(parents=True)
        os.chmod(self.root / "hooks", 0o755)
        os.chmod(self.root, 0o755)
        self.write_mountinfo()
        (self.root / "proc/meminfo").write_text("Dirty: 0 kB\nWriteback: 0 kB\n")
        (self.root / "proc/sys/vm/dirty_expire_centisecs").write_text("3000\n")
        (self.root / "proc/sys/vm/dirty_writeback_centisecs").write_text("500\n")
        (self.root / "quiesced.conf").write_text(
            f"[quiesce]\nhost={profile}\n"
            f"[hooks]\ndirectories={self.root}/hooks\nstock-directory={self.root}/stock\n"
            f"[channel default]\nmethod=unix-listen\npath={self.socket}\n{config}"
        )
        self.log = open(self.root / "log", "wb")

    @property
    def socket(self) -> Path:
        return self.root / "sock"

    @property
    def address(self) -> str:
        """Of what the service takes for the system bus; nothing is there unless a test starts it."""
        return f"unix:path={self.root}/bus"

    def directory(self, name: str) -> Path:
        return self.root / "fs" / name

    def write_mountinfo(self) -> None:
        lines = ["20 1 0:20 / / rw - tmpfs none rw"]
        for number, name in enumerate(self.filesystems):
            self.directory(name).mkdir(exist_ok=True)
            lines.append(
                f"{30 + number} 20 250:{number} / {self.directory(name)} rw,relatime"
                f" - ext4 /dev/test{number} rw"
            )
        (self.root / "mountinfo").write_text("\n".join(lines) + "\n")

    def put(self, name: str, text: str) -> None:
        """A file, with the folders above it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def namespace(self, pid: str, inode: int, table: str = "") -> None:
        """A process in the mount namespace `inode`; "self" is the agent."""
        (self.root / f"proc/{pid}/ns").mkdir(parents=True)
        (self.root / f"proc/{pid}/ns/mnt").symlink_to(f"mnt:[{inode}]")
        (self.root / f"proc/{pid}/root").symlink_to("/")
        (self.root / f"proc/{pid}/mountinfo").write_text(table)

    def container(self, pid: str, name: str) -> None:
        """One whose mount namespace has the filesystem `name`, which the agent's has not."""
        self.directory(name).mkdir(exist_ok=True)
        self.namespace(pid, 1000 + int(pid),
                       "1 0 0:90 / / rw - overlay overlay rw\n"
                       f"2 1 251:{pid} / {self.directory(name)} rw - ext4 /dev/volume{pid} rw\n")

    def inject(self, name: str, text: str) -> None:
        """What the keeper's calls on that filesystem do; "" for normal."""
        path = self.directory(name) / ".inject"
        if text:
            path.write_text(text + "\n")
        else:
            path.unlink(missing_ok=True)

    def frozen(self, name: str) -> bool:
        return (self.directory(name) / ".frozen").exists()

    def anything_frozen(self) -> bool:
        return any(self.frozen(name) for name in self.filesystems)

    def calls(self, name: str) -> list[str]:
        path = self.directory(name) / ".calls"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []

    def hook(self, name: str, body: str = "", conf: str = "", stock: bool = False) -> None:
        """A script that appends "NAME VERB" to hook.log, then runs `body`."""
        directory = self.root / ("stock" if stock else "hooks")
        directory.mkdir(exist_ok=True)
        path = directory / name
        path.write_text(f'#!/bin/sh\necho "{name} $1" >>{self.root}/hook.log\n{body}\n')
        path.chmod(0o755)
        if conf:
            Path(f"{path}.conf").write_text(f"[Hook]\n{conf}\n")

    def tool(self, name: str, body: str = "") -> None:
        """A program of the system, which writes down how it was called; by default there is none."""
        path = self.root / "programs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.root}/tools.log\n{body}\n')
        path.chmod(0o755)

    def tool_log(self) -> list[str]:
        path = self.root / "tools.log"
        return path.read_text().splitlines() if path.exists() else []

    def machine_log(self) -> list[str]:
        """What was asked of the machine itself: tests/fake/machine_ops_fake.c."""
        path = self.root / "run/machine"
        return path.read_text().splitlines() if path.exists() else []

    def hook_log(self) -> list[str]:
        path = self.root / "hook.log"
        return path.read_text().splitlines() if path.exists() else []

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "QUIESCED_TEST_CONFIG": str(self.root / "quiesced.conf"),
            "QUIESCED_TEST_STOCK": str(self.root / "qemu-ga.conf"),
            "QUIESCED_TEST_RUNTIME": str(self.root / "run"),
            "QUIESCED_TEST_RUN_AS": os.environ.get("QUIESCED_RUN_AS", "build/quiesced-run-as"),
            "QUIESCED_TEST_STATE": str(self.root / "state"),
            "QUIESCED_TEST_KEEPER_SOCKET": str(self.root / "run/keeper.sock"),
            "QUIESCED_TEST_KEEPER": str(Path(KEEPER).absolute()),
            # A keeper held up by a busy machine for a second does not take it for a paused VM.
            "QUIESCED_FAKE_LATE_MS": "60000",
            "QUIESCED_TEST_MOUNTINFO": str(self.root / "mountinfo"),
            "QUIESCED_TEST_SYSFS": str(self.root / "sys"),
            "QUIESCED_TEST_PROCFS": str(self.root / "proc"),
            "QUIESCED_TEST_RUN": str(self.root / "run"),
            "QUIESCED_TEST_PROGRAMS": str(self.root / "programs"),
            "QUIESCED_TEST_DMI": str(self.root / "dmi"),
            "QUIESCED_TEST_OWNER": str(os.getuid()),
            "DBUS_SYSTEM_BUS_ADDRESS": self.address,
            "G_DEBUG": os.environ.get("G_DEBUG", ""),
            "G_SLICE": os.environ.get("G_SLICE", ""),
            "ASAN_OPTIONS": f"detect_leaks=1:log_path={self.root}/sanitizer",
            "TSAN_OPTIONS": f"{os.environ.get('TSAN_OPTIONS', '')}:log_path={self.root}/sanitizer",
        }

    def program(self, name: str) -> str:
        """The service under another name."""
        link = self.root / name
        if not link.exists():
            link.symlink_to(Path(SERVICE).absolute())
        return str(link)

    def start(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [SERVICE, *options], env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log,
        )
        if not options:
            wait_for(lambda: self.reachable(), 10, "the service's socket", self)

    def start_with(self, fds: list[tuple[str, int]]) -> None:
        """As systemd starts it with stored fds, by their names. The fds stay the caller's."""
        copies = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3 + len(fds)) for _, fd in fds]
        moves = " ".join(f"{3 + index}<&{copy}" for index, copy in enumerate(copies))
        names = ":".join(name for name, _ in fds)
        # LISTEN_PID is that of the process started, which only it knows.
        script = f'exec {moves}; LISTEN_PID=$$ LISTEN_FDS={len(fds)} LISTEN_FDNAMES={names} exec "$0"'
        self.process = subprocess.Popen(
            ["bash", "-c", script, SERVICE], env=self.environment(), pass_fds=copies,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )
        for copy in copies:
            os.close(copy)
        wait_for(self.reachable, 10, "the service's socket", self)

    def reachable(self) -> bool:
        """The socket is served and the keeper is connected."""
        assert self.process
        if self.process.poll() is not None:
            raise RuntimeError(f"the service ended: {self.log_text()}")
        try:
            host = Host(self.socket)
        except OSError:
            return False
        try:
            return host.call("guest-quiesce-status")["ready"]
        finally:
            host.close()

    def host(self) -> Host:
        return Host(self.socket)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def memory(self) -> int:
        """RssAnon of the service, in KiB."""
        assert self.process
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0])

    def log_text(self) -> str:
        self.log.flush()
        return (self.root / "log").read_text(errors="replace")

    def __enter__(self) -> "Testbed":
        return self

    def __exit__(self, *_exception) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.log.close()
        text = (self.root / "log").read_text(errors="replace")
        # Files of their own: the keeper's workers have no standard error.
        for report in self.root.glob("sanitizer.*"):
            text += report.read_text(errors="replace")
        shutil.rmtree(self.root, ignore_errors=True)
        if "Sanitizer" in text or "CRITICAL" in text or "is a defect" in text:
            raise AssertionError(text)


def check_prompt(beside: str, measure) -> None:
    """`measure()` is what pings took on another channel beside something that must hold up nobody.

    What does holds it up every time, for more than a second; one late ping may be this machine's.
    """
    for _ in range(3):
        times = sorted(measure())
        print(f"# longest ping beside {beside}: {times[-1] * 1000:.0f} ms")
        if times[len(times) * 99 // 100 - 1] < 0.1 * SPEED and times[-1] < 0.5 * SPEED:
            return
    raise AssertionError(f"others were kept waiting by {beside}, three times of three")


def wait_for(condition, seconds: float, what: str, bed: Testbed | None = None) -> None:
    """Waits until the condition holds; a bound that matters is one for the test to assert."""
    seconds = max(seconds, PATIENCE_SECONDS)
    deadline = time.monotonic() + seconds * SPEED
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}\n{bed.log_text() if bed else ''}")
        time.sleep(0.02)


def b64(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


class Case(unittest.TestCase):
    """A test with a service of its own, `bed`, and its `host` from serve() on."""

    options: dict = {}  # of the Testbed

    def setUp(self) -> None:
        self.bed = Testbed(**self.options)
        self.addCleanup(self.bed.__exit__)

    def serve(self) -> None:
        self.bed.start()
        self.host = self.bed.host()
        self.addCleanup(self.host.close)

    def refused(self, execute: str, kind: str = "GenericError", **arguments) -> str:
        """The text of the error, which is of that class."""
        with self.assertRaises(AgentError) as caught:
            self.host.call(execute, **arguments)
        self.assertEqual(caught.exception.kind, kind)
        return caught.exception.desc


class Served(Case):
    """One that begins with a running service."""

    def setUp(self) -> None:
        super().setUp()
        self.serve()
