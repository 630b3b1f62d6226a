"""The host's end of an agent port: raw lines, commands, and times."""

import json
import random
import socket
import time
from pathlib import Path


class AgentError(Exception):
    """An error reply."""

    def __init__(self, error: dict) -> None:
        super().__init__(error["desc"])
        self.kind, self.desc = error["class"], error["desc"]


class AgentHost:
    """Connects as libvirt does and keeps the connection."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.settimeout(30)
        self.socket.sendall(data)

    def line(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while b"\n" not in self.buffer:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.01))
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError("the port was closed")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def sync(self, seconds: float = 30) -> None:
        """Repeats guest-sync until it is answered: the agent is there."""
        deadline = time.monotonic() + seconds
        while True:
            number = random.randrange(1 << 40)
            self.send(json.dumps({"execute": "guest-sync", "arguments": {"id": number}}).encode()
                      + b"\n")
            try:
                while True:
                    if json.loads(self.line(2).lstrip(b"\xff")).get("return") == number:
                        return
            except (TimeoutError, socket.timeout):
                if time.monotonic() > deadline:
                    raise TimeoutError("the agent does not answer guest-sync") from None

    def request(self, execute: str, arguments: dict | None = None) -> None:
        message: dict = {"execute": execute}
        if arguments is not None:
            message["arguments"] = arguments
        self.send(json.dumps(message).encode() + b"\n")

    def reply(self, timeout: float = 60):
        reply = json.loads(self.line(timeout).lstrip(b"\xff"))
        if "error" in reply:
            raise AgentError(reply["error"])
        return reply["return"]

    def call(self, execute: str, arguments: dict | None = None, timeout: float = 60):
        self.request(execute, arguments)
        return self.reply(timeout)

    def refused(self, execute: str, arguments: dict | None = None, timeout: float = 60) -> str:
        """The text of the error that must come."""
        try:
            returned = self.call(execute, arguments, timeout)
        except AgentError as error:
            return error.desc
        raise AssertionError(f"{execute} was not refused but answered {returned}")

    def wait_ready(self, seconds: float = 30) -> None:
        """Until a freeze would be accepted."""
        self.sync(seconds)
        deadline = time.monotonic() + seconds
        while not self.call("guest-quiesce-status")["ready"]:
            if time.monotonic() > deadline:
                raise TimeoutError(str(self.call("guest-quiesce-status")))
            time.sleep(0.1)

    def close(self) -> None:
        self.socket.close()
