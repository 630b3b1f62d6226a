"""The wire: framing, errors, limits and connections, through a unix socket."""

import json
import os
import signal
import threading
import time
import unittest

import tap
from testbed import Host, Served, Testbed, check_prompt, wait_for


BURST = 150  # of the shortest requests; with what follows one read of a port takes them all


class Protocol(Served):
    """Every case ends with a request that works: nothing is lost by bad input."""

    def works(self) -> None:
        self.assertEqual(self.host.call("guest-sync", id=4711), 4711)

    def error(self, data: bytes) -> dict:
        self.host.send(data)
        reply = self.host.reply()
        self.assertIn("error", reply)
        return reply["error"]

    def test_sync_ping_info(self) -> None:
        self.assertEqual(self.host.call("guest-ping"), {})
        info = self.host.call("guest-info")
        self.assertRegex(info["version"], r"^\d+\.\d+\.\d+ \(quiesced \d+\.\d+\)$")
        names = {entry["name"] for entry in info["supported_commands"] if entry["enabled"]}
        self.assertLessEqual(
            {"guest-sync", "guest-fsfreeze-freeze-list", "guest-quiesce-report"}, names)

    def test_delimited_is_what_proxmox_matches(self) -> None:
        self.host.send(b'{"execute":"guest-sync-delimited","arguments":{"id":7}}\n'
                       b'{"execute":"guest-ping","arguments":{}}\n')
        first, second = self.host.line(), self.host.line()
        self.assertEqual(first, b'\xff{"return": 7}')
        self.assertEqual(second, b'{"return": {}}')

    def test_id_is_echoed_in_answers_and_errors(self) -> None:
        self.host.send(b'{"execute":"guest-ping","id":{"a":[1]}}')
        self.assertEqual(self.host.reply(), {"return": {}, "id": {"a": [1]}})
        self.host.send(b'{"execute":"nope","id":"x"}')
        reply = self.host.reply()
        self.assertEqual((reply["id"], reply["error"]["class"]), ("x", "CommandNotFound"))
        self.assertEqual(reply["error"]["desc"], "The command nope has not been found")

    def test_malformed_gets_the_stock_texts(self) -> None:
        for data, text in (
            (b"{}", "QMP input lacks member 'execute'"),
            (b"[]", "QMP input must be a JSON object"),
            (b"garbage\n", "JSON parse error, invalid keyword 'garbage'"),
            (b'{"execute":1}', "QMP input member 'execute' must be a string"),
            (b'{"execute":"guest-ping","foo":1}', "QMP input member 'foo' is unexpected"),
            (b'{"execute":"guest-ping","arguments":1}',
             "QMP input member 'arguments' must be an object"),
            (b'{"execute":"guest-ping","arguments":{"x":1}}', "Parameter 'x' is unexpected"),
            (b'{"execute":"guest-sync"}', "Parameter 'id' is missing"),
            (b'{"execute":"guest-sync","arguments":{"id":1.5}}',
             "Invalid parameter type for 'id', expected: integer"),
        ):
            with self.subTest(text):
                self.assertEqual(self.error(data)["desc"], text)
        self.works()

    def test_nesting_bomb_is_one_error(self) -> None:
        error = self.error(b'{"a":' + b"[" * 100000 + b"]" * 100000 + b"}\n")
        self.assertIn("nesting", error["desc"])
        self.works()

    def test_endless_string_keeps_memory_bounded(self) -> None:
        assert self.bed.process
        self.host.send(b'{"execute":"guest-sync","arguments":{"id":"')
        chunk = b"x" * (1 << 20)
        for _ in range(256):
            self.host.send(chunk)
        self.host.send(b'"}}\n')
        self.assertIn("limit exceeded", self.host.reply()["error"]["desc"])
        self.works()
        with open(f"/proc/{self.bed.process.pid}/status", encoding="ascii") as status:
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        self.assertLess(peak, 400 * 1024)

    def test_a_huge_request_keeps_no_other_channel_waiting(self) -> None:
        """Many small values are the slowest to parse; the string makes it as large as allowed."""
        zeros = b"0," * 1_000_000
        text = b"x" * (58 << 20)
        request = (b'{"execute":"guest-ping","id":1,"arguments":{"a":[' + zeros +
                   b'0],"b":"' + text + b'"}}\n{"execute":"guest-sync","arguments":{"id":2}}\n')
        check_prompt("a 60 MiB request", lambda: self.pings_beside(request))

    def pings_beside(self, request: bytes) -> list[float]:
        """What pings on another channel take while that is read and refused."""
        other = self.bed.host()
        times: list[float] = []
        sender = threading.Thread(target=self.host.send, args=(request,))
        sender.start()
        answers: list[dict] = []
        reader = threading.Thread(target=lambda: answers.extend(
            [self.host.reply(60), self.host.reply(60)]))
        reader.start()
        while reader.is_alive():
            times.append(other.ping())
            time.sleep(0.002)
        sender.join()
        other.close()
        self.assertEqual(answers[0]["id"], 1)
        self.assertIn("is unexpected", answers[0]["error"]["desc"])
        self.assertEqual(answers[1], {"return": 2})
        return times

    def test_a_burst_leaves_the_other_channels_their_turn(self) -> None:
        """As many requests as one read brings: the other host is answered between them."""
        other = self.bed.host()
        other.ping()
        self.works()
        clock = b'{"execute":"guest-get-time"}\n'
        # Both are there before it reads either.
        os.kill(self.bed.process.pid, signal.SIGSTOP)
        self.host.send(b'{"execute":"guest-info"}\n' * BURST + clock)
        other.send(clock)
        os.kill(self.bed.process.pid, signal.SIGCONT)
        between = other.reply()["return"]
        for _ in range(BURST):
            self.assertIn("version", self.host.reply()["return"])
        self.assertLess(between, self.host.reply()["return"], "all of the burst came first")
        other.close()
        self.works()

    def test_half_a_request_then_silence(self) -> None:
        self.host.send(b'{"execute":"guest-pi')
        began = time.monotonic()
        self.assertIn("not finished", self.host.reply(10)["error"]["desc"])
        self.assertGreater(time.monotonic() - began, 4.5)
        self.works()

    def test_reset_byte_forgets_half_a_request(self) -> None:
        self.host.send(b'{"execute":"guest-pi\xff{"execute":"guest-ping"}\n')
        self.assertEqual(self.host.reply(), {"return": {}})

    def test_a_connection_for_every_command(self) -> None:
        for number in range(300):
            host = Host(self.bed.socket)
            self.assertEqual(host.call("guest-sync", id=number), number)
            host.close()
        self.works()

    def test_a_host_that_never_reads_harms_nobody(self) -> None:
        deaf = self.bed.host()
        deaf.socket.settimeout(0.5)
        try:
            for _ in range(200000):
                deaf.send(b'{"execute":"guest-info"}\n' * 50)
        except (TimeoutError, OSError):
            pass
        self.works()
        deaf.close()
        self.works()

    def test_many_hosts_at_once(self) -> None:
        hosts = [self.bed.host() for _ in range(8)]
        for number, host in enumerate(hosts):
            self.assertEqual(host.call("guest-sync", id=number), number)
        for host in hosts:
            host.close()

    def test_one_line_piped_in_gets_its_answer(self) -> None:
        import socket
        self.host.request("guest-ping")
        self.host.socket.shutdown(socket.SHUT_WR)
        self.assertEqual(self.host.reply(), {"return": {}})
        self.host = self.bed.host()
        self.works()


class Rights(unittest.TestCase):
    """Block lists, observers, configuration errors."""

    def test_blocked_command(self) -> None:
        with Testbed(config="[rpc]\nblock=guest-ping;guest-fsfreeze-freeze\n") as bed:
            bed.start()
            host = bed.host()
            host.request("guest-ping")
            error = host.reply()["error"]
            self.assertEqual(error["class"], "CommandNotFound")
            self.assertIn("has been disabled", error["desc"])
            info = {c["name"]: c["enabled"] for c in host.call("guest-info")["supported_commands"]}
            self.assertFalse(info["guest-ping"])
            self.assertTrue(info["guest-info"])
            host.close()

    def test_observer_may_look_but_not_freeze(self) -> None:
        with Testbed() as bed:
            path = bed.root / "watch"
            with open(bed.root / "quiesced.conf", "a", encoding="ascii") as conf:
                conf.write(f"[channel watch]\nmethod=unix-listen\npath={path}\ncommands=observe\n")
            bed.start()
            watcher = Host(path)
            watcher.request("guest-fsfreeze-freeze")
            self.assertIn("observe", watcher.reply()["error"]["desc"])
            host = bed.host()
            self.assertEqual(host.call("guest-fsfreeze-freeze"), 2)
            self.assertEqual(watcher.call("guest-quiesce-status")["state"], "frozen")
            self.assertEqual(host.call("guest-fsfreeze-thaw"), 2)
            watcher.close()
            host.close()

    def test_wrong_configuration_names_file_and_line(self) -> None:
        with Testbed() as bed:
            path = bed.root / "quiesced.conf"
            path.write_text("[quiesce]\nfrozen-limit=soon\n")
            bed.start("--dump-conf")
            assert bed.process
            self.assertEqual(bed.process.wait(5), 1)
            self.assertIn(f"{path}:2: ", bed.log_text())
            self.assertIn("frozen-limit", bed.log_text())

    def test_dump_conf_is_a_configuration(self) -> None:
        with Testbed() as bed:
            bed.start("--dump-conf", "--frozen-limit=20")
            assert bed.process
            self.assertEqual(bed.process.wait(5), 0)
            text = bed.log_text()
            self.assertRegex(text, r"(?m)^frozen-limit=20")
            (bed.root / "quiesced.conf").write_text(text)
            bed.start()
            host = bed.host()
            self.assertEqual(host.call("guest-quiesce-status")["frozen-limit-ms"], 20000)
            host.close()


if __name__ == "__main__":
    tap.main()
