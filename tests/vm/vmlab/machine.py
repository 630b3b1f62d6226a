"""One virtual machine under QEMU: disks, ports, QMP, and commands run inside it."""

import base64
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

from .image import Image, build, say

QEMU_SECONDS = 30
BOOT_SECONDS = 240  # about 20 s here; a loaded machine takes much longer
PORTS = ("org.qemu.guest_agent.0", "org.quiesced.stock.0", "org.quiesced.lab.0")
SCRIPTS = ("labd.py", "deadfs.py")
# Built here, without libraries.
HELPERS = ("stallwriter", "holdup", "nsfarm", "labtool", "thawclock", "barespawn")
LINKED_HELPERS = {"busapp": "-lsystemd"}  # with those that the guest has
GUEST = Path(__file__).resolve().parent.parent / "vmguest"


class GuestError(Exception):
    """A command in the guest failed."""


class Qmp:
    """QEMU's monitor."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")
        self.events: list[dict] = []
        self.file.readline()
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments):
        message = {"execute": command, "arguments": arguments}
        self.socket.sendall(json.dumps(message).encode() + b"\n")
        while True:
            reply = json.loads(self.file.readline())
            if "event" in reply:
                self.events.append(reply)
            elif "error" in reply:
                raise RuntimeError(f"{command}: {reply['error']['desc']}")
            else:
                return reply["return"]


class Vm:
    """Started by start(); use as a context manager. Its disks are overlays: nothing is kept."""

    def __init__(self, tree: Path | None = None, disks: tuple[int, ...] = (), throttle: int = 0,
                 kubevirt: bool = False, root: Path | None = None, name: str = "vm",
                 serial: bool = False) -> None:
        self.image: Image = build()
        self.work = Path(tempfile.mkdtemp(prefix=f"quiesced-{name}-"))
        self.name = name
        self.throttle = throttle
        self.kubevirt = kubevirt
        self.serial = serial  # a second serial line, on the socket `work`/serial
        self.process: subprocess.Popen | None = None
        self.console = self.work / "console"
        self.backing = root or self.image.root
        self.root_disk = self.work / "root.qcow2"
        self._overlay(self.backing, self.root_disk, "qcow2" if root else "raw")
        self.disks: list[Path] = []
        for number, mib in enumerate(disks):
            disk = self.work / f"disk{number}.raw"
            with open(disk, "wb") as file:
                file.truncate(mib << 20)
            self.disks.append(disk)
        self._payload(tree)
        self.lab: socket.socket | None = None
        self.lab_buffer = b""

    @staticmethod
    def _overlay(backing: Path, target: Path, form: str) -> None:
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", form, "-b", str(backing),
                        str(target)], check=True)

    def _payload(self, tree: Path | None) -> None:
        """What the initramfs unpacks over the root: the control service, and the agent built."""
        for name in HELPERS:
            subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", "-static", "-o",
                            str(self.work / name), str(GUEST / f"{name}.c")], check=True)
        for name, library in LINKED_HELPERS.items():
            subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", "-o", str(self.work / name),
                            str(GUEST / f"{name}.c"), library], check=True)
        with tarfile.open(self.work / "payload.tar", "w", format=tarfile.GNU_FORMAT) as tar:
            for script in SCRIPTS:
                tar.add(GUEST / script, f"usr/lib/lab/{script}", filter=_as_root)
            for name in (*HELPERS, *LINKED_HELPERS):
                tar.add(self.work / name, f"usr/lib/lab/{name}", filter=_as_root)
            tar.add(GUEST / "labd.service", "etc/systemd/system/labd.service", filter=_as_root)
            wanted = tarfile.TarInfo("etc/systemd/system/sysinit.target.wants/labd.service")
            wanted.type, wanted.linkname = tarfile.SYMTYPE, "../labd.service"
            tar.addfile(wanted)
            if tree:
                for path in sorted(tree.rglob("*")):
                    if path.is_file() or path.is_symlink():
                        tar.add(path, str(path.relative_to(tree)), filter=_as_root,
                                recursive=False)

    def _command(self) -> list[str]:
        accelerator = "kvm" if os.environ.get("QUIESCED_VM_KVM") == "1" else "tcg,thread=multi"
        command = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-accel", accelerator,
                   "-cpu", "max", "-smp", "2", "-m", "1536", "-no-reboot",
                   "-kernel", str(self.image.kernel), "-initrd", str(self.image.initramfs),
                   "-append", "console=ttyS0 root=/dev/vda rw panic=-1 net.ifnames=0 "
                              "mitigations=off clocksource=tsc tsc=reliable "
                              "quiet systemd.show_status=0",
                   "-serial", f"file:{self.console}",
                   "-qmp", f"unix:{self.work}/qmp,server=on,wait=off",
                   "-device", "virtio-serial-pci",
                   "-drive", f"if=none,id=root,file={self.root_disk},format=qcow2",
                   "-device", "virtio-blk-pci,drive=root",
                   "-drive", f"if=none,id=payload,file={self.work}/payload.tar,format=raw,"
                             "readonly=on",
                   "-device", "virtio-blk-pci,drive=payload"]
        for number, disk in enumerate(self.disks):
            limit = f",throttling.bps-write={self.throttle}" if self.throttle else ""
            command += ["-drive", f"if=none,id=disk{number},file={disk},format=raw{limit}",
                        "-device", f"virtio-blk-pci,drive=disk{number}"]
        for number, port in enumerate(PORTS):
            command += ["-chardev", f"socket,id=c{number},path={self.work}/port{number},server=on,"
                                    "wait=off",
                        "-device", f"virtserialport,chardev=c{number},name={port},id=p{number}"]
        if self.serial:
            command += ["-serial", f"unix:{self.work}/serial,server=on,wait=off"]
        if self.kubevirt:
            command += ["-smbios", "type=1,manufacturer=KubeVirt,product=None,family=KubeVirt"]
        return command

    @property
    def agent_path(self) -> Path:
        """The chardev socket of the agent's port, as a host connects to it."""
        return self.work / "port0"

    @property
    def stock_path(self) -> Path:
        return self.work / "port1"

    def start(self) -> "Vm":
        """Boots; once more if QEMU crashed or the guest hung, as emulation does at rare times."""
        try:
            return self._boot()
        except (TimeoutError, OSError):
            assert self.process
            status = self.process.poll()
            if status is not None and status >= 0:
                raise  # QEMU said why, or the guest ended itself
        say(f"{self.name}: {self._how_it_hangs()}, booting again")
        self.stop()
        (self.work / "qmp").unlink(missing_ok=True)
        self.lab_buffer = b""
        return self._boot()

    def _how_it_hangs(self) -> str:
        """What QEMU knows of a guest that does not answer."""
        assert self.process
        if self.process.poll() is not None:
            return f"QEMU crashed (signal {-self.process.returncode})"
        try:
            status = self.qmp.execute("query-status")["status"]
            ports = [chardev["label"] for chardev in self.qmp.execute("query-chardev")
                     if chardev["frontend-open"]]
            processors = self.qmp.execute("human-monitor-command", **{
                "command-line": "info registers -a"})
            where = [word for word in processors.split() if word.startswith("RIP=")]
            return f"the guest does not answer ({status}, open: {ports}, {where})"
        except (AttributeError, OSError, RuntimeError, ValueError) as error:
            return f"QEMU does not answer ({error})"

    def reboot(self) -> None:
        """As the guest's own reboot, on the same root disk; QEMU ends and begins anew."""
        assert self.process and self.lab
        self.spawn("systemctl reboot")
        self.process.wait(timeout=BOOT_SECONDS)
        self.lab.close()
        (self.work / "qmp").unlink(missing_ok=True)
        self.lab_buffer = b""
        self.start()

    def _boot(self) -> "Vm":
        began = time.monotonic()
        self.process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL,
                                        stderr=open(self.work / "qemu.log", "wb"))
        self._wait(self._listens, QEMU_SECONDS, "QEMU")
        self.qmp = Qmp(self.work / "qmp")
        self.lab = socket.socket(socket.AF_UNIX)
        self.lab.connect(str(self.work / "port2"))
        self._wait(self._answers, BOOT_SECONDS, "the guest to boot")
        say(f"{self.name}: booted in {time.monotonic() - began:.0f} s")
        return self

    def _listens(self) -> bool:
        """The socket is there a moment before QEMU listens on it."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.work / "qmp"))
            return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def _answers(self) -> bool:
        try:
            self.run("true", timeout=3)
            return True
        except (TimeoutError, socket.timeout):
            return False

    def _wait(self, condition, seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = self.console.read_text(errors="replace")[-2000:] \
                    if self.console.exists() else ""
                log = (self.work / "qemu.log").read_text(errors="replace")
                raise TimeoutError(f"{self.name}: waited for {what}\n{log}\n{tail}")
            time.sleep(0.1)

    def _lab_reply(self, number: int, timeout: float) -> dict:
        assert self.lab
        deadline = time.monotonic() + timeout
        while True:
            while b"\n" not in self.lab_buffer:
                self.lab.settimeout(max(deadline - time.monotonic(), 0.01))
                data = self.lab.recv(1 << 16)
                if not data:
                    raise GuestError("the guest's control port closed")
                self.lab_buffer += data
            line, self.lab_buffer = self.lab_buffer.split(b"\n", 1)
            reply = json.loads(line)
            if reply["id"] == number:
                return reply

    def run(self, command: str | list[str], timeout: float = 60, check: bool = True) -> str:
        """Runs a shell command in the guest, or a list of words without a shell, which takes a
        fraction of the time; its standard output."""
        reply = self._ask({"run": command, "timeout": timeout}, timeout + 5)
        if check and reply["rc"] != 0:
            raise GuestError(f"{command!r} ended with {reply['rc']}: {reply['out']}{reply['err']}")
        return reply["out"]

    def succeeds(self, command: str) -> bool:
        """Whether a shell command in the guest ends with status 0; it may take 10 s."""
        return self._ask({"run": command, "timeout": 10}, 15)["rc"] == 0

    def spawn(self, command: str) -> None:
        """Starts a shell command in the guest's background."""
        self._ask({"spawn": command}, 15)

    def clock(self) -> float:
        """The guest's CLOCK_MONOTONIC in seconds; takes a few milliseconds."""
        return self._ask({"clock": True}, 15)["now"]

    def get(self, path: str) -> str:
        """A file's text; "" when there is none."""
        return self._ask({"get": path}, 15)["text"]

    def remove(self, *paths: str) -> None:
        self._ask({"remove": paths}, 15)

    def wait_text(self, path: str, text: str, seconds: float) -> None:
        """Until the file contains the text."""
        reply = self._ask({"await": path, "text": text, "seconds": seconds}, seconds + 15)
        if not reply["found"]:
            raise TimeoutError(f"{self.name}: waited {seconds} s for {text!r} in {path}: "
                               f"{self.get(path)!r}")

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        self._ask({"put": path, "data": base64.b64encode(text.encode()).decode(), "mode": mode}, 15)

    def _ask(self, message: dict, timeout: float) -> dict:
        assert self.lab
        message["id"] = time.monotonic_ns()
        self.lab.sendall(json.dumps(message).encode() + b"\n")
        reply = self._lab_reply(message["id"], timeout)
        if "fault" in reply:
            raise GuestError(reply["fault"])
        return reply

    def wait_until(self, command: str, seconds: float, what: str) -> None:
        """Runs the command until it succeeds."""
        deadline = time.monotonic() + seconds
        while not self.succeeds(command):
            if time.monotonic() > deadline:
                state = self.run("journalctl -b --no-pager | tail -n 30", check=False)
                raise TimeoutError(f"{self.name}: waited {seconds} s for {what}\n{state}")
            time.sleep(0.2)

    def start_agent(self) -> None:
        """The units as installed; waits until a freeze would be accepted."""
        self.run("systemctl daemon-reload; systemctl start quiesced-keeper.socket quiesced.service")

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> "Vm":
        return self

    def __exit__(self, *_exception) -> None:
        self.stop()
        if os.environ.get("QUIESCED_VM_KEEP") != "1":
            shutil.rmtree(self.work, ignore_errors=True)


def _as_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info
