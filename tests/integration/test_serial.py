"""Hosts one after another on a serial port: a pty whose master the agent has stands for it.

The master polls as hung up while no host has the slave open, as a virtio port does.
"""

import fcntl
import os
import sys
import termios
import time
import tty

import tap
from testbed import Case, Host, wait_for

TIOCSPTLCK, TIOCGPTN = 0x40045431, 0x80045430  # asm-generic/ioctls.h
ABSENT_SECONDS = 0.05  # long enough to be noticed, shorter than SETTLE_MS of agent/sys/port_serial.c
TRIES = 10  # a busy machine makes it longer, or nobody notices
HALF = b'{"execute":"guest-pi'
FREEZE = b'{"execute":"guest-fsfreeze-freeze"}\n'
PING = b'{"execute":"guest-ping"}\n'


class Serial(Case):
    """The port is handed over open, as by the program before this one."""

    def setUp(self) -> None:
        super().setUp()
        self.master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.addCleanup(os.close, self.master)
        fcntl.ioctl(self.master, TIOCSPTLCK, b"\0\0\0\0")
        number = int.from_bytes(fcntl.ioctl(self.master, TIOCGPTN, bytes(4)), sys.byteorder)
        self.slave = f"/dev/pts/{number}"
        conf = self.bed.root / "quiesced.conf"
        conf.write_text("[channel a]\nmethod=virtio-serial\npath=/dev/ptmx\n" +
                        conf.read_text().replace("[channel default]", "[channel b]"))

    def serve(self) -> None:
        self.bed.start_with([("port-0", self.master)])
        self.host: Host = self.bed.host()
        self.addCleanup(self.host.close)

    def opened(self) -> int:
        fd = os.open(self.slave, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(fd, termios.TCSANOW)
        return fd

    def read(self, fd: int, seconds: float) -> bytes:
        os.set_blocking(fd, False)
        data, deadline = b"", time.monotonic() + seconds
        while data.count(b"\n") < 2 and time.monotonic() < deadline:
            try:
                data += os.read(fd, 4096)
            except BlockingIOError:
                time.sleep(0.01)
        return data

    def short_absence(self) -> bytes:
        """A freeze and half a request, then a host that pings."""
        fd = self.opened()
        os.write(fd, FREEZE + HALF)
        wait_for(lambda: self.bed.hook_log()[-1:] == ["10-slow prepare"], 5, "prepare", self.bed)
        os.close(fd)
        time.sleep(ABSENT_SECONDS)
        fd = self.opened()
        os.write(fd, PING)
        data = self.read(fd, 3)
        os.close(fd)
        self.host.call("guest-fsfreeze-thaw")
        return data

    def test_answers_outlast_a_short_absence(self) -> None:
        self.bed.hook("10-slow", 'test "$1" != prepare || sleep 0.3')
        self.serve()
        for _ in range(TRIES):
            data = self.short_absence()
            if data == b'{"return": 2}\n{"return": {}}\n':
                return
        self.fail(f"no host was answered: {data!r}; {self.bed.log_text()}")


if __name__ == "__main__":
    tap.main()
