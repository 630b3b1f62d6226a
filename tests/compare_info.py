"""Compares the commands that ask with the distribution's qemu-ga: replies and times, on this machine.

usage: compare_info.py [--filesystems N] [--interfaces N] [--rounds N]

Needs root, qemu-ga and a built testbed (QUIESCED_TESTBED, QUIESCED_KEEPER_FAKE). Everything happens
in mount and network namespaces of its own, which take the loop mounts and interfaces along
when they end. Neither agent is ever sent a freeze. Prints a table in Markdown; the exit status is 1
when a command is slower than qemu-ga's at those sizes, or misses something that qemu-ga tells.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Only these are held to qemu-ga's times: the others take a thread's start, some 0.1 ms, more.
TIMED = ("guest-get-fsinfo", "guest-network-get-interfaces")
COMMANDS = (
    "guest-get-fsinfo", "guest-network-get-interfaces", "guest-get-disks", "guest-get-diskstats",
    "guest-get-cpustats", "guest-get-host-name", "guest-get-memory-block-info",
    "guest-get-memory-blocks", "guest-get-osinfo", "guest-get-timezone", "guest-get-users",
    "guest-get-vcpus",
)
COUNTERS = ("statistics", "stats", "used-bytes", "idle", "iowait", "irq", "softirq", "steal", "system",
            "user")


class Agent:
    """One of both, listening on a socket."""

    def __init__(self, command: list[str], path: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(command, env=os.environ | environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.buffer = b""
        for _ in range(200):
            try:
                self.socket.connect(str(path))
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{command[0]} does not listen")

    def call(self, command: str):
        self.socket.sendall(json.dumps({"execute": command}).encode() + b"\n")
        while b"\n" not in self.buffer:
            self.buffer += self.socket.recv(1 << 20)
        line, self.buffer = self.buffer.split(b"\n", 1)
        reply = json.loads(line)
        if "error" in reply:
            raise RuntimeError(f"{command}: {reply['error']['desc']}")
        return reply["return"]

    def idle(self) -> None:
        """Until no thread of an earlier question is left: late ones are answered from memory."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        while any(name in ("fsinfo", "interfaces", "disks", "diskstats", "memory-blocks")
                  for name in (self.name(task) for task in tasks.iterdir())):
            time.sleep(0.001)

    @staticmethod
    def name(task: Path) -> str:
        try:
            return (task / "comm").read_text().strip()
        except OSError:
            return ""

    def milliseconds(self, command: str) -> float:
        self.idle()
        began = time.perf_counter()
        self.call(command)
        return (time.perf_counter() - began) * 1000


def normal(value):
    """In an order of its own, without what changes from one moment to the next."""
    if isinstance(value, dict):
        return {key: normal(item) for key, item in value.items() if key not in COUNTERS}
    if isinstance(value, list):
        return sorted((normal(item) for item in value),
                      key=lambda item: json.dumps(item, sort_keys=True))
    return value


def missing(stock, own, where: str = "") -> list[str]:
    """What of the stock agent's reply is not in ours; more than that is fine."""
    if isinstance(stock, dict) and isinstance(own, dict):
        return [text for key, value in stock.items() for text in
                ([f"{where}.{key} is missing"] if key not in own
                 else missing(value, own[key], f"{where}.{key}"))]
    if isinstance(stock, list) and isinstance(own, list):
        if len(stock) != len(own):
            return [f"{where} has {len(own)} elements, not {len(stock)}"]
        # By name where there is one: what is more in ours must not change the order.
        key = next((key for key in ("name", "mountpoint", "ip-address", "cpu")
                    if stock and isinstance(stock[0], dict) and key in stock[0]), None)
        pairs = zip(*(sorted(part, key=lambda item: str(item[key])) if key else part
                      for part in (stock, own)))
        return [text for number, (left, right) in enumerate(pairs)
                for text in missing(left, right, f"{where}[{number}]")]
    return [] if stock == own else [f"{where} is {own!r}, not {stock!r}"]


def prepare(root: Path, filesystems: int, interfaces: int) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for number in range(interfaces):
        name = f"bridge{number}"
        subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
        subprocess.run(["ip", "address", "add", f"10.{number // 250}.{number % 250}.1/24", "dev",
                        name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
    for number in range(filesystems):
        image, mountpoint = root / f"image{number}", root / f"fs{number}"
        with open(image, "wb") as file:
            file.truncate(1 << 20)
        subprocess.run(["mke2fs", "-q", "-F", str(image)], check=True)
        mountpoint.mkdir()
        subprocess.run(["mount", "-o", "loop", str(image), str(mountpoint)], check=True)


def start(root: Path, agents: list[Agent]) -> None:
    agents.append(Agent(["qemu-ga", "-m", "unix-listen", "-p", str(root / "stock"), "-t", str(root)],
                        root / "stock", {}))
    (root / "run").mkdir()
    (root / "conf").write_text(f"[channel default]\nmethod=unix-listen\npath={root}/own\n")
    agents.append(Agent([os.environ.get("QUIESCED_TESTBED", "build/quiesced-testbed")], root / "own", {
        "QUIESCED_TEST_CONFIG": str(root / "conf"),
        "QUIESCED_TEST_RUNTIME": str(root / "run"),
        "QUIESCED_TEST_KEEPER_SOCKET": str(root / "run/keeper.sock"),
        "QUIESCED_TEST_KEEPER": str(Path(os.environ.get("QUIESCED_KEEPER_FAKE",
                                                        "build/quiesced-keeper-fake")).absolute()),
        "QUIESCED_TEST_MOUNTINFO": "/proc/self/mountinfo",
        "QUIESCED_TEST_SYSFS": "/sys",
        "QUIESCED_TEST_PROCFS": "/proc",
        "QUIESCED_TEST_RUN": "/run",
        "QUIESCED_TEST_DMI": "/sys/class/dmi/id",
        "QUIESCED_TEST_OWNER": "0",
    }))


def compare(stock: Agent, own: Agent, rounds: int) -> bool:
    good = True
    print("| command | qemu-ga, ms | quiesced, ms | ratio | missing |\n|---|---|---|---|---|")
    for command in COMMANDS:
        gaps = missing(normal(stock.call(command)), normal(own.call(command)))
        times = [(stock.milliseconds(command), own.milliseconds(command)) for _ in range(rounds)]
        left, right = (statistics.median(part) for part in zip(*times))
        print(f"| `{command}` | {left:.2f} | {right:.2f} | {right / left:.2f} | "
              f"{'; '.join(gaps[:3]) or 'nothing'} |", flush=True)
        good = good and not gaps and (command not in TIMED or right <= left)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--filesystems", type=int, default=100)
    parser.add_argument("--interfaces", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        return subprocess.run(["unshare", "--mount", "--net", "--propagation", "private",
                               sys.executable, *sys.argv, "--inside"], check=False).returncode
    with tempfile.TemporaryDirectory(prefix="compare-") as name:
        root = Path(name)
        prepare(root, options.filesystems, options.interfaces)
        agents: list[Agent] = []
        try:
            start(root, agents)
            good = compare(*agents, options.rounds)
        finally:
            # They hold the mounts of this namespace.
            for agent in agents:
                agent.process.terminate()
                agent.process.wait()
            for number in range(options.filesystems):
                subprocess.run(["umount", str(root / f"fs{number}")], check=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
