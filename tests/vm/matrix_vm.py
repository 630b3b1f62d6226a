"""A machine that can be put back to how it was: saved once ready, restored in seconds.

The saved state is QEMU's migration stream in a file, with a copy of the disks beside it. After a
case that failed, or that shut the machine down, going back takes the place of a boot. Touches
nothing but files in a temporary folder.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

from vmlab.image import say
from vmlab.machine import GUEST, QEMU_SECONDS, Qmp, Vm

ROOT = Path(__file__).resolve().parent.parent.parent
TOOLS = ("watcher", "labhook")
SAVE_SECONDS = 120


class SavedVm(Vm):
    """A Vm with the matrix's tools in it."""

    def __init__(self, tree: Path, disks: tuple[int, ...], name: str) -> None:
        self.saved: Path | None = None
        self.incoming = False
        super().__init__(tree, disks=disks, name=name)

    def _payload(self, tree: Path | None) -> None:
        super()._payload(tree)
        assert tree
        with tarfile.open(self.work / "payload.tar", "a", format=tarfile.GNU_FORMAT) as tar:
            for tool in TOOLS:
                self._compile(tar, tool, "-static", str(GUEST / f"{tool}.c"))
            # The library of the build that the tree was installed from.
            self._compile(tar, "quiesced-keeper", str(GUEST / "keeper_lab_ops.c"),
                          str(tree.parent / "libkeeper.a"))

    def _compile(self, tar: tarfile.TarFile, name: str, *arguments: str) -> None:
        target = self.work / name
        subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", f"-I{ROOT}/agent", "-o", str(target),
                        *arguments, "-lpthread"], check=True)
        info = tar.gettarinfo(target, f"usr/lib/lab/{name}")
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        with open(target, "rb") as file:
            tar.addfile(info, file)

    def _command(self) -> list[str]:
        command = super()._command()
        if self.incoming:
            command += ["-incoming", f"exec:cat {self.saved}/state"]
        return command

    def _disk_files(self) -> list[Path]:
        return [self.root_disk, *self.disks]

    def _wait_migration(self) -> None:
        deadline = time.monotonic() + SAVE_SECONDS
        while (status := self.qmp.execute("query-migrate").get("status")) != "completed":
            if status == "failed" or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: saving the machine: {status}")
            time.sleep(0.05)

    def save(self) -> None:
        """Keeps the machine as it is now; it goes on afterwards."""
        began = time.monotonic()
        self.saved = Path(tempfile.mkdtemp(dir=self.work, prefix="saved-"))
        self.qmp.execute("stop")
        self.qmp.execute("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self.qmp.execute("migrate", uri=f"exec:cat >{self.saved}/state")
        self._wait_migration()
        self._copy_disks(self.work, self.saved)
        self.qmp.execute("cont")
        say(f"{self.name}: saved in {time.monotonic() - began:.1f} s")

    def _copy_disks(self, source: Path, target: Path) -> None:
        for disk in self._disk_files():
            subprocess.run(["cp", "--sparse=always", str(source / disk.name),
                            str(target / disk.name)], check=True)

    def restore(self) -> None:
        """Back to what save() kept."""
        assert self.saved
        began = time.monotonic()
        self.stop()
        self._copy_disks(self.saved, self.work)
        self.incoming = True
        try:
            self._restart()
        finally:
            self.incoming = False
        say(f"{self.name}: restored in {time.monotonic() - began:.1f} s")

    def reboot(self) -> None:
        """Boots from the disks as they are."""
        self.stop()
        (self.work / "qmp").unlink(missing_ok=True)
        self.lab_buffer = b""
        self.start()

    def _restart(self) -> None:
        (self.work / "qmp").unlink(missing_ok=True)
        self.lab_buffer = b""
        with open(self.work / "qemu.log", "wb") as log:
            self.process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=log)
        self._wait(self._listens, QEMU_SECONDS, "QEMU")
        self.qmp = Qmp(self.work / "qmp")
        self._wait(lambda: self.qmp.execute("query-status")["status"] != "inmigrate", SAVE_SECONDS,
                   "the saved state")
        self.lab = socket.socket(socket.AF_UNIX)
        self.lab.connect(str(self.work / "port2"))
        self.qmp.execute("cont")
        self._wait(self._answers, 30, "the restored machine")

    def ended(self, seconds: float) -> bool:
        """Whether the machine shut itself down within this time."""
        assert self.process
        try:
            self.process.wait(timeout=seconds)
            return True
        except subprocess.TimeoutExpired:
            return False

    def __exit__(self, *exception) -> None:
        super().__exit__(*exception)
        if self.saved and os.environ.get("QUIESCED_VM_KEEP") == "1":
            shutil.rmtree(self.saved, ignore_errors=True)
