"""The commands that ask: reply shapes of the stock agent, what is answered while frozen, limits."""

import os
import time
import unittest

import tap
from testbed import AgentError, Case, Testbed

ASKING = {
    "guest-get-time": int,
    "guest-get-host-name": dict,
    "guest-get-osinfo": dict,
    "guest-get-timezone": dict,
    "guest-get-users": list,
    "guest-get-load": dict,
    "guest-get-vcpus": list,
    "guest-get-memory-blocks": list,
    "guest-get-memory-block-info": dict,
    "guest-network-get-interfaces": list,
    "guest-network-get-route": list,
    "guest-get-diskstats": list,
    "guest-get-cpustats": list,
}
CHANGING = ("guest-get-time", "guest-get-load", "guest-network-get-interfaces")

ROUTES = ("Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
          "eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n")
ROUTES6 = ("20010db8000000000000000000000000 20 00000000000000000000000000000000 00 "
           "fe800000000000000000000000000001 00000400 00000001 00000002 80200003     eth0\n")


class Info(Case):
    """One agent, whose /sys, /proc and /run a case fills."""

    def setUp(self) -> None:
        super().setUp()
        self.bed.put("proc/loadavg", "0.50 1.25 2.00 1/200 4711\n")
        self.bed.put("proc/net/dev", "lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n")
        self.bed.put("proc/net/route", ROUTES)
        self.bed.put("proc/net/ipv6_route", ROUTES6)
        self.bed.put("proc/diskstats", "254 0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"
                     "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n8 1 sda1 1 2 3 4\n")
        self.bed.put("proc/stat", "cpu 9 9 9 9\ncpu1 1 2 3 4 5 6 7\n")
        self.bed.put("sys/devices/system/cpu/cpu0/x", "")
        self.bed.put("sys/devices/system/cpu/cpu1/online", "0\n")
        self.bed.put("sys/devices/system/memory/block_size_bytes", "8000000\n")
        self.bed.put("sys/devices/system/memory/memory3/state", "online\n")
        self.bed.put("sys/devices/system/memory/memory3/removable", "1\n")

    def test_shapes(self) -> None:
        self.serve()
        before = time.time_ns()
        self.assertLessEqual(before // 1000, self.host.call("guest-get-time") // 1000)
        self.assertEqual(self.host.call("guest-get-host-name"), {"host-name": os.uname().nodename})
        info = self.host.call("guest-get-osinfo")
        kernel = os.uname()
        self.assertEqual((info["kernel-release"], info["kernel-version"], info["machine"]),
                         (kernel.release, kernel.version, kernel.machine))
        self.assertEqual(set(self.host.call("guest-get-timezone")), {"zone", "offset"})
        self.assertEqual(self.host.call("guest-get-users"), [])
        self.assertEqual(self.host.call("guest-get-load"),
                         {"load1m": 0.5, "load5m": 1.25, "load15m": 2.0})
        self.assertEqual(self.host.call("guest-get-vcpus"),
                         [{"logical-id": 0, "online": True, "can-offline": False},
                          {"logical-id": 1, "online": False, "can-offline": True}])
        self.assertEqual(self.host.call("guest-get-memory-blocks"),
                         [{"phys-index": 3, "online": True, "can-offline": True}])
        self.assertEqual(self.host.call("guest-get-memory-block-info"), {"size": 128 << 20})

    def test_shapes_of_the_network(self) -> None:
        self.serve()
        loopback = next(entry for entry in self.host.call("guest-network-get-interfaces")
                        if entry["name"] == "lo")
        self.assertEqual(loopback["hardware-address"], "00:00:00:00:00:00")
        self.assertEqual(loopback["statistics"],
                         {"rx-bytes": 1, "rx-packets": 2, "rx-errs": 3, "rx-dropped": 4,
                          "tx-bytes": 9, "tx-packets": 10, "tx-errs": 11, "tx-dropped": 12})
        for address in loopback.get("ip-addresses", []):
            self.assertEqual(set(address), {"ip-address", "ip-address-type", "prefix"})
        self.assertEqual(self.host.call("guest-network-get-route"), [
            {"iface": "eth0", "destination": "0.0.0.0", "gateway": "192.0.2.1", "mask": "0.0.0.0",
             "metric": 100, "flags": 3, "refcnt": 0, "use": 0, "mtu": 0, "window": 0, "irtt": 0,
             "version": 4},
            {"iface": "eth0", "destination": "2001:db8::", "nexthop": "fe80::1", "source": "::",
             "desprefixlen": "32", "srcprefixlen": "0", "metric": 1024, "flags": 0x80200003,
             "refcnt": 1, "use": 2, "version": 6}])

    def test_shapes_of_statistics(self) -> None:
        self.serve()
        disks = self.host.call("guest-get-diskstats")
        self.assertEqual([(disk["name"], disk["major"], disk["minor"], len(disk["stats"]))
                          for disk in disks],
                         [("vda", 254, 0, 17), ("sda", 8, 0, 11), ("sda1", 8, 1, 4)])
        self.assertEqual(disks[0]["stats"]["flush-ticks"], 17)
        self.assertEqual(disks[2]["stats"],
                         {"read-ios": 1, "read-sectors": 2, "write-ios": 3, "write-sectors": 4})
        tick = 1000 // os.sysconf("SC_CLK_TCK")
        self.assertEqual(self.host.call("guest-get-cpustats"),
                         [{"type": "linux", "cpu": 1, "user": tick, "nice": 2 * tick,
                           "system": 3 * tick, "idle": 4 * tick, "iowait": 5 * tick,
                           "irq": 6 * tick, "softirq": 7 * tick}])

    def test_long_lists_end_and_hold_up_nobody(self) -> None:
        """Routes of a border router, and more than any host would read."""
        self.bed.put("proc/net/ipv6_route", ROUTES6 * 100_000)  # 17 MB
        self.bed.put("proc/diskstats", "".join(
            f"8 {n} sd{n} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n" for n in range(10_000)))
        self.serve()
        other = self.bed.host()
        self.addCleanup(other.close)
        self.host.request("guest-network-get-route")
        times = sorted(other.ping() for _ in range(20))
        routes = self.host.line()
        self.assertGreater(routes.count(b"2001:db8::"), 10_000)
        self.assertLess(len(routes), 5 << 20)
        self.assertGreater(len(self.host.call("guest-get-diskstats")), 5_000)
        print(f"# longest ping beside 100 000 routes: {times[-1] * 1000:.0f} ms")
        self.assertEqual(self.host.call("guest-ping"), {})

    def test_what_cannot_be_read_is_one_error(self) -> None:
        self.bed.put("proc/loadavg", "none\n")
        self.bed.put("sys/devices/system/cpu/cpu1/online", "")
        (self.bed.root / "sys/devices/system/memory/block_size_bytes").unlink()
        self.serve()
        self.assertIn("failed to query load average", self.refused("guest-get-load"))
        self.assertIn("unexpected EOF", self.refused("guest-get-vcpus"))
        self.assertIn("block_size_bytes", self.refused("guest-get-memory-block-info"))
        self.assertEqual(self.host.call("guest-ping"), {})

    def test_users_from_sessions(self) -> None:
        self.bed.put("run/systemd/sessions/1",
                     "USER=anna\nSTATE=active\nCLASS=user\nREALTIME=1700000000500000\n")
        self.serve()
        self.assertEqual(self.host.call("guest-get-users"),
                         [{"user": "anna", "login-time": 1700000000.5}])

    def test_all_are_answered_while_frozen(self) -> None:
        self.serve()
        thawed = {name: self.host.call(name) for name in ASKING}
        self.assertEqual(self.host.call("guest-fsfreeze-freeze"), 2)
        for name, kind in ASKING.items():
            with self.subTest(name):
                times = []  # the best counts: one that is late may be this machine's
                for _ in range(3):
                    began = time.monotonic()
                    reply = self.host.call(name)
                    times.append(time.monotonic() - began)
                    self.assertIsInstance(reply, kind)
                    if name not in CHANGING:
                        self.assertEqual(reply, thawed[name])
                self.assertLess(min(times), 2)
        self.assertEqual(self.host.call("guest-fsfreeze-thaw"), 2)

    def test_frozen_without_having_been_asked_before(self) -> None:
        """A host that freezes first: what was learnt ahead is there."""
        self.serve()
        self.host.call("guest-fsfreeze-freeze")
        self.assertIn("kernel-release", self.host.call("guest-get-osinfo"))
        self.assertIn("zone", self.host.call("guest-get-timezone"))
        self.host.call("guest-fsfreeze-thaw")

    def test_listed_and_without_arguments(self) -> None:
        self.serve()
        info = self.host.call("guest-info")
        listed = {entry["name"]: entry for entry in info["supported_commands"]}
        for name in ASKING:
            with self.subTest(name):
                self.assertEqual(listed[name],
                                 {"name": name, "enabled": True, "success-response": True})
                with self.assertRaises(AgentError) as caught:
                    self.host.call(name, foo=1)
                self.assertEqual(caught.exception.desc, "Parameter 'foo' is unexpected")


class OsRelease(unittest.TestCase):
    """os-release where QGA_OS_RELEASE points."""

    def info(self, data: bytes) -> dict:
        bed = Testbed()
        self.addCleanup(bed.__exit__)
        path = bed.root / "os-release"
        path.write_bytes(data)
        environment = bed.environment()
        bed.environment = lambda: environment | {"QGA_OS_RELEASE": str(path)}
        bed.start()
        host = bed.host()
        self.addCleanup(host.close)
        info = host.call("guest-get-osinfo")
        return {key: value for key, value in info.items() if not key.startswith("kernel")}

    def test_quoting(self) -> None:
        self.assertEqual(
            self.info(b'ID=qemu-ga-test\nNAME=QEMU-GA\nPRETTY_NAME="An agent under test"\n'
                      b"VERSION='Test 1'\nVERSION_ID=1\nVARIANT=\"A \\\"\\'\\$\\`\\\\ b\"\n"
                      b"VARIANT_ID=unit-test # comment\n"),
            {"id": "qemu-ga-test", "name": "QEMU-GA", "pretty-name": "An agent under test",
             "version": "Test 1", "version-id": "1", "variant": "A \"'$`\\ b",
             "variant-id": "unit-test", "machine": os.uname().machine})

    def test_garbage(self) -> None:
        self.assertEqual(
            self.info(bytes(range(1, 256)) * 40 + b"\nID=still\xff\xfethere\n" + b"A=" * 100),
            {"id": "still\ufffd\ufffdthere", "machine": os.uname().machine})
        self.assertEqual(self.info(b"ID=early\n" + b"x" * (1 << 20) + b"\nNAME=late\n"),
                         {"id": "early", "machine": os.uname().machine})


if __name__ == "__main__":
    tap.main()
