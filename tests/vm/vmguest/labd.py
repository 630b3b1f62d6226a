"""Runs commands for the tests inside the guest; must go on while / is frozen.

Reads JSON lines from its virtio port. Everything it needs is imported and locked in memory at start;
it opens nothing for writing but the port and what it is told to put.
"""

import base64
import ctypes
import json
import os
import subprocess
import threading
import time

PORT = "/dev/virtio-ports/org.quiesced.lab.0"
LOCK = threading.Lock()
STACK = 256 << 10  # of a thread: all of it is locked in memory, and under emulation that takes time
LOOK_AGAIN = 0.01


def answer(port: int, reply: dict) -> None:
    data = json.dumps(reply).encode() + b"\n"
    with LOCK:
        while data:
            try:
                data = data[os.write(port, data):]
            except BlockingIOError:
                time.sleep(0.01)


def run(port: int, message: dict) -> None:
    command = message["run"] if isinstance(message["run"], list) else \
        ["/bin/sh", "-c", message["run"]]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, cwd="/run")
    try:
        out, err = process.communicate(timeout=message["timeout"])
        code = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        out, err, code = b"", b"timed out in the guest", 124
    answer(port, {"id": message["id"], "rc": code, "out": out.decode(errors="replace"),
                  "err": err.decode(errors="replace")})


def text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def wait_for(path: str, text: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while text not in text_of(path):
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_AGAIN)
    return True


def remove(paths: list) -> None:
    for path in paths:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass


def serve(port: int, message: dict) -> None:
    try:
        if "run" in message:
            run(port, message)
            return
        if "clock" in message:
            answer(port, {"id": message["id"], "now": time.monotonic()})
            return
        if "get" in message:
            answer(port, {"id": message["id"], "text": text_of(message["get"])})
            return
        if "await" in message:
            found = wait_for(message["await"], message["text"], message["seconds"])
            answer(port, {"id": message["id"], "found": found})
            return
        if "remove" in message:
            remove(message["remove"])
        elif "spawn" in message:
            subprocess.Popen(["/bin/sh", "-c", message["spawn"]], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/run",
                             start_new_session=True)
        elif "put" in message:
            os.makedirs(os.path.dirname(message["put"]), exist_ok=True)
            with open(message["put"], "wb") as file:
                file.write(base64.b64decode(message["data"]))
            os.chmod(message["put"], message["mode"])
        answer(port, {"id": message["id"]})
    except OSError as error:
        answer(port, {"id": message["id"], "fault": str(error)})


def main() -> None:
    while not os.path.exists(PORT):
        time.sleep(0.1)
    port = os.open(PORT, os.O_RDWR | os.O_CLOEXEC)
    ctypes.CDLL(None).mlockall(3)
    threading.stack_size(STACK)
    buffer = b""
    while True:
        data = os.read(port, 65536)
        if not data:
            time.sleep(0.1)
            continue
        buffer += data
        while b"\n" in buffer:
            line, buffer = buffer.split(b"\n", 1)
            threading.Thread(target=serve, args=(port, json.loads(line)), daemon=True).start()


main()
