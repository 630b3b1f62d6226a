"""Mounts whose server is dead, for the tests: every access to them hangs.

    deadfs.py fuse DIRECTORY    a FUSE filesystem whose program never answers
    deadfs.py nfs DIRECTORY     NFS from a server in this process that stops when asked (SIGUSR1)

Stays until killed; prints "mounted" when it is. Only what mount(2) of NFS version 3 asks for is
answered: MOUNT's MNT, and FSINFO, PATHCONF and GETATTR of an empty folder.
"""

import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

PORT = 20490
MOUNT_PROGRAM, NFS_PROGRAM = 100005, 100003
HANDLE = struct.pack(">I16s", 16, b"h" * 16)
# type, mode, links, uid, gid, size, used, rdev, fsid, fileid, three times
FOLDER = struct.pack(">5I5Q6I", 2, 0o755, 2, 0, 0, 4096, 4096, 0, 7, 1, *[0] * 6)
FSINFO = struct.pack(">7IQ3I", *[65536, 65536, 4096] * 2, 4096, 1 << 40, 0, 1, 0x1B)
PATHCONF = struct.pack(">6I", 1, 255, 1, 1, 0, 1)
OK, NO_ATTRIBUTES = struct.pack(">I", 0), struct.pack(">I", 0)
ANSWERS = {(MOUNT_PROGRAM, 1): OK + HANDLE + struct.pack(">2I", 1, 1),
           (NFS_PROGRAM, 1): OK + FOLDER,
           (NFS_PROGRAM, 19): OK + NO_ATTRIBUTES + FSINFO,
           (NFS_PROGRAM, 20): OK + NO_ATTRIBUTES + PATHCONF}


def read_exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def serve(connection: socket.socket, dead: threading.Event) -> None:
    while True:
        try:
            size = struct.unpack(">I", read_exactly(connection, 4))[0] & 0x7FFFFFFF
            call = read_exactly(connection, size)
        except (EOFError, OSError):
            return
        if dead.is_set():
            continue
        number, _, _, program, _, procedure = struct.unpack(">6I", call[:24])
        # Accepted, no verifier, success.
        reply = struct.pack(">6I", number, 1, 0, 0, 0, 0) + ANSWERS.get((program, procedure), b"")
        connection.sendall(struct.pack(">I", 0x80000000 | len(reply)) + reply)


def listen(dead: threading.Event) -> None:
    server = socket.create_server(("127.0.0.1", PORT))

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(server.accept()[0], dead), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def mount_nfs(directory: str) -> None:
    dead = threading.Event()
    listen(dead)
    options = (f"vers=3,proto=tcp,port={PORT},mountproto=tcp,mountvers=3,mountport={PORT},"
               "addr=127.0.0.1,mountaddr=127.0.0.1,nolock,hard")
    subprocess.run(["mount", "-i", "-t", "nfs", "-o", options, "127.0.0.1:/x", directory],
                   check=True)
    signal.signal(signal.SIGUSR1, lambda *_: (dead.set(), print("dead", flush=True)))


def mount_fuse(directory: str) -> None:
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"dead", directory.encode(), b"fuse", 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), "mount")


def main() -> None:
    os.makedirs(sys.argv[2], exist_ok=True)
    {"nfs": mount_nfs, "fuse": mount_fuse}[sys.argv[1]](sys.argv[2])
    print("mounted", flush=True)
    while True:
        time.sleep(3600)


main()
