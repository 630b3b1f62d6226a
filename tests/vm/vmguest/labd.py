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


def answer(port: int, reply: dict) -> None:
    data = json.dumps(reply).encode() + b"\n"
    with LOCK:
        while data:
            try:
                data = data[os.write(port, data):]
            except BlockingIOError:
                time.sleep(0.01)


def run(port: int, message: dict) -> None:
    process = subprocess.Popen(["/bin/sh", "-c", message["run"]], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/run")
    try:
        out, err = process.communicate(timeout=message["timeout"])
        code = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        out, err, code = b"", b"timed out in the guest", 124
    answer(port, {"id": message["id"], "rc": code, "out": out.decode(errors="replace"),
                  "err": err.decode(errors="replace")})


def serve(port: int, message: dict) -> None:
    try:
        if "run" in message:
            run(port, message)
            return
        if "clock" in message:
            answer(port, {"id": message["id"], "now": time.monotonic()})
            return
        if "spawn" in message:
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
