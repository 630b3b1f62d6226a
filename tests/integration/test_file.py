"""guest-file-*, as hosts use them: small pieces, large ones, FIFOs, garbage, and too many."""

import base64
import json
import os
import threading
import time

import tap
from testbed import Served, Testbed, b64, check_prompt

MIB = 1 << 20


class Pings:
    """Pings on a connection of their own, timed, for as long as the context lasts."""

    def __init__(self, bed: Testbed) -> None:
        self.host = bed.host()
        self.times: list[float] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while not self.over.is_set():
            self.times.append(self.host.ping())
            time.sleep(0.002)

    def __enter__(self) -> "Pings":
        self.thread.start()
        return self

    def __exit__(self, *_exception) -> None:
        self.over.set()
        self.thread.join()
        self.host.close()


class File(Served):
    """The texts and shapes are the stock agent's; where they differ docs/compatibility.md says so."""

    def setUp(self) -> None:
        super().setUp()
        self.path = str(self.bed.root / "file")

    def open(self, mode: str = "r", path: str = "") -> int:
        return self.host.call("guest-file-open", path=path or self.path, mode=mode)

    def read(self, handle: int, count: int | None = None) -> tuple[bytes, bool]:
        more = {} if count is None else {"count": count}
        reply = self.host.call("guest-file-read", handle=handle, **more)
        data = base64.b64decode(reply["buf-b64"], validate=True)
        self.assertEqual(reply["count"], len(data))
        self.assertEqual(set(reply), {"count", "buf-b64", "eof"})
        return data, reply["eof"]

    def test_round_trip(self) -> None:
        handle = self.open("w+")
        self.assertGreaterEqual(handle, 1000)
        self.assertEqual(self.host.call("guest-file-write", handle=handle, buf_b64=b64(b"hello")),
                         {"count": 5, "eof": False})
        self.assertEqual(
            self.host.call("guest-file-write", handle=handle, buf_b64=b64(b" world"), count=3),
            {"count": 3, "eof": False})
        self.assertEqual(self.host.call("guest-file-flush", handle=handle), {})
        self.assertEqual(self.host.call("guest-file-seek", handle=handle, offset=0, whence="set"),
                         {"position": 0, "eof": False})
        self.assertEqual(self.read(handle), (b"hello wo", True))
        self.assertEqual(self.host.call("guest-file-seek", handle=handle, offset=-2, whence=2),
                         {"position": 6, "eof": False})
        self.assertEqual(self.read(handle, 2), (b"wo", False))
        self.assertEqual(self.read(handle, 2), (b"", True))
        self.assertEqual(
            self.host.call("guest-file-seek", handle=handle, offset=0, whence="cur")["position"], 8)
        self.assertEqual(self.host.call("guest-file-close", handle=handle), {})
        self.assertEqual(self.refused("guest-file-close", handle=handle),
                         f"handle '{handle}' has not been found")
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o666)

    def test_wrong_arguments(self) -> None:
        self.assertEqual(self.refused("guest-file-open", path="/nope"),
                         "failed to open file '/nope' (mode: 'r'): No such file or directory")
        self.assertEqual(self.refused("guest-file-open", path="/tmp", mode="q"),
                         "invalid file open mode 'q'")
        handle = self.open("r", "/tmp")
        self.assertEqual(self.refused("guest-file-read", handle=handle),
                         "failed to read file: Is a directory")
        for count in (-1, 48 * MIB + 1, 1 << 62):
            self.assertEqual(self.refused("guest-file-read", handle=handle, count=count),
                             f"value '{count}' is invalid for argument count")
        for whence, text in ((7, "invalid whence code 7"), (-1, "invalid whence code -1"),
                             ("foo", "Parameter 'whence' does not accept value 'foo'"),
                             (True, "Invalid parameter type for 'whence', expected: "
                                    "GuestFileWhence")):
            self.assertEqual(self.refused("guest-file-seek", handle=handle, offset=0,
                                          whence=whence), text)
        self.assertEqual(self.refused("guest-file-seek", handle=handle, offset=0),
                         "Parameter 'whence' is missing")
        for handle in (0, 1, -5):
            for name in ("close", "read", "flush"):
                self.assertEqual(self.refused(f"guest-file-{name}", handle=handle),
                                 f"handle '{handle}' has not been found")

    def test_garbage_is_not_written(self) -> None:
        handle = self.open("w")
        for text, error in (("YWJj!", "Base64 data contains invalid characters"),
                            ("YWJjZA", "cut short"), ("=", "cut short"),
                            ("YWJj" * 100000 + "\u00e9", "invalid characters")):
            self.assertIn(error, self.refused("guest-file-write", handle=handle, buf_b64=text))
        for count in (-1, 4):
            self.assertEqual(
                self.refused("guest-file-write", handle=handle, buf_b64="YWJj", count=count),
                f"value '{count}' is invalid for argument count")
        self.assertEqual(os.stat(self.path).st_size, 0)
        self.assertEqual(
            self.host.call("guest-file-write", handle=handle, buf_b64="YWJj\nZGVm\n")["count"], 6)

    def test_full_disk(self) -> None:
        handle = self.open("w", "/dev/full")
        self.assertEqual(self.refused("guest-file-write", handle=handle, buf_b64="YWJj"),
                         "failed to write to file: No space left on device")
        self.assertEqual(self.host.call("guest-file-close", handle=handle), {})

    def test_fifo_answers_at_once(self) -> None:
        os.mkfifo(self.path)
        self.assertIn("No such device or address",
                      self.refused("guest-file-open", path=self.path, mode="w"))
        handle = self.open()
        self.assertEqual(self.read(handle), (b"", True))
        writer = os.open(self.path, os.O_WRONLY)
        self.assertEqual(self.refused("guest-file-read", handle=handle),
                         "failed to read file: Resource temporarily unavailable")
        os.write(writer, b"abc")
        self.assertEqual(self.read(handle), (b"abc", False))
        os.close(writer)

    def test_large_files_both_ways_while_others_are_answered(self) -> None:
        """48 MiB in one piece is the most there is; nobody else may wait for it."""
        assert self.bed.process
        data = os.urandom(MIB) * 48
        with open(self.path, "wb") as file:
            file.write(data)
        handle = self.open("r+")
        # Made before and taken apart after: Python's own work would hold up the pings.
        data = data[::-1][:16 * MIB] + data[16 * MIB:]
        write = json.dumps({"execute": "guest-file-write", "arguments": {
            "handle": handle, "buf-b64": b64(data[:16 * MIB])}}).encode() + b"\n"
        line = b""

        def both_ways() -> list[float]:
            nonlocal line
            self.host.call("guest-file-seek", handle=handle, offset=0, whence=0)
            with Pings(self.bed) as pings:
                self.host.send(write)
                self.assertEqual(self.host.reply(60)["return"], {"count": 16 * MIB, "eof": False})
                self.host.call("guest-file-seek", handle=handle, offset=0, whence=0)
                self.host.request("guest-file-read", handle=handle, count=48 * MIB)
                line = self.host.line(60)
            return pings.times

        check_prompt("48 MiB both ways", both_ways)
        reply = json.loads(line)["return"]
        self.assertEqual((reply["count"], reply["eof"]), (48 * MIB, False))
        self.assertTrue(base64.b64decode(reply["buf-b64"]) == data)
        self.host.call("guest-file-close", handle=handle)
        anonymous = self.bed.memory()
        print(f"# RssAnon afterwards: {anonymous} KiB")
        if not os.environ.get("QUIESCED_SANITIZED"):
            self.assertLess(anonymous, 4 * 1024)

    def test_handles_are_limited_and_never_given_again(self) -> None:
        handles = [self.open("r", "/dev/null") for _ in range(128)]
        self.assertEqual(len(set(handles)), 128)
        self.assertIn("128 files are open already",
                      self.refused("guest-file-open", path="/dev/null"))
        self.host.call("guest-file-close", handle=handles[0])
        last = self.open("r", "/dev/null")
        self.assertGreater(last, max(handles))
        self.host.close()
        self.bed.kill()
        self.serve()
        self.assertEqual(self.refused("guest-file-read", handle=handles[5]),
                         f"handle '{handles[5]}' has not been found")
        self.assertGreater(self.open("r", "/dev/null"), last)

    def test_handles_belong_to_no_channel(self) -> None:
        handle = self.open("w+")
        self.host.close()
        self.host = self.bed.host()
        self.host.call("guest-file-write", handle=handle, buf_b64="YWJj")
        self.assertEqual(self.host.call("guest-file-close", handle=handle), {})

    def test_no_handle_without_a_place_to_note_it(self) -> None:
        (self.bed.root / "run/file-handles").mkdir()
        self.assertIn("no file handle can be reserved",
                      self.refused("guest-file-open", path="/dev/null"))
        (self.bed.root / "run/file-handles").rmdir()
        self.assertGreaterEqual(self.open("r", "/dev/null"), 1000)

    def test_not_while_frozen(self) -> None:
        handle = self.open("w")
        self.host.call("guest-fsfreeze-freeze")
        self.assertIn("the agent is in frozen state",
                      self.refused("guest-file-write", kind="CommandNotFound", handle=handle,
                                   buf_b64="YWJj"))
        self.host.call("guest-fsfreeze-thaw")
        self.host.call("guest-file-write", handle=handle, buf_b64="YWJj")


if __name__ == "__main__":
    tap.main()
