"""Freeze and thaw of ext4, xfs, btrfs and / under constant writers, with hooks, through virtio."""

import re
import time

from context import FILESYSTEMS, Machine, check
from vmlab.host import AgentError, AgentHost

GROUP = "freeze"


def machine(tree) -> Machine:
    return Machine(tree, name=GROUP)


def frozen_means_no_write_completes(m: Machine) -> None:
    with m.writers() as writers:
        check(m.host.call("guest-fsfreeze-freeze") == FILESYSTEMS)
        time.sleep(0.3)  # one that was past the gate may still come to be counted, even later
        first = writers.counters()
        time.sleep(2)
        second = writers.counters()
        check(all(second[name][0] <= first[name][0] + 1 for name in first), f"{first} {second}")
        check(m.host.call("guest-fsfreeze-status") == "frozen")
        check(m.host.call("guest-fsfreeze-thaw") == FILESYSTEMS)
        writers.go_on()
    report = m.last_report()
    check({f["type"]: f["result"] for f in report["filesystems"]} ==
          {"ext4": "frozen", "xfs": "frozen", "btrfs": "frozen"}, str(report))
    check(report["result"] == "ok" and report["ended-by"] == "host-thaw", str(report))


def hooks_run_in_order_and_reverse(m: Machine) -> None:
    m.no_hooks()
    m.hook("10-first")
    m.hook("20-second")
    m.host.call("guest-fsfreeze-freeze")
    m.host.call("guest-fsfreeze-thaw")
    check(m.hook_log() == ["10-first prepare", "20-second prepare", "10-first freeze",
                           "20-second freeze", "20-second thaw", "10-first thaw"],
          str(m.hook_log()))
    check(m.last_report()["level"] == "application")
    m.no_hooks()


FROZEN = "MESSAGE_ID=5b6f0f8e41f9446c8a0b1f7e6a2d9c11"


def the_journal_tells(m: Machine) -> None:
    """By the journal's own socket; the unit's standard error goes nowhere."""
    m.host.call("guest-fsfreeze-freeze")
    m.host.call("guest-fsfreeze-thaw")
    m.vm.wait_until(f"journalctl -t quiesced {FROZEN} -o cat | grep -q '^Frozen: '", 10,
                    "what was frozen")
    m.vm.wait_until("journalctl -t quiesced -o cat | grep -q '^Thawed after '", 10, "the thaw")


def the_journal_explains(m: Machine) -> None:
    """With the catalog as the packages' triggers put it in."""
    operation = m.last_report()["operation"]
    m.vm.run("journalctl --update-catalog; journalctl --sync", timeout=60)
    text = m.vm.run(f"journalctl --no-pager -x -t quiesced {FROZEN} | tail -n 20")
    check("Subject: The system is frozen for a snapshot" in text, text)
    check(f"operation {operation}," in " ".join(text.replace("-- ", "").split()), text)


def list_freezes_only_what_it_names(m: Machine) -> None:
    check(m.host.call("guest-fsfreeze-freeze-list", {"mountpoints": ["/srv/xfs"]}) == 1)
    check(m.frozen("/srv/xfs"))
    check(not m.frozen("/srv/ext4"))
    check(m.host.call("guest-fsfreeze-thaw") == 1)
    text = m.host.refused("guest-fsfreeze-freeze-list", {"mountpoints": ["/srv/xfs", "/nowhere"]})
    check("/nowhere" in text, text)
    check(not m.frozen("/srv/xfs"))


def failing_hook_is_rolled_back(m: Machine) -> None:
    m.no_hooks()
    m.hook("10-good")
    m.hook("20-bad", '[ "$1" = freeze ] && { echo "licence expired"; exit 5; }; exit 0')
    text = m.host.refused("guest-fsfreeze-freeze")
    check(text == "quiesce failed: bad: freeze: licence expired", text)
    check(m.hook_log()[-2:] == ["20-bad abort", "10-good abort"], str(m.hook_log()))
    check(not m.frozen("/srv/ext4"))
    m.no_hooks()


def hook_timeout_is_bounded(m: Machine) -> None:
    m.no_hooks()
    m.hook("10-slow", '[ "$1" = freeze ] && sleep 60; exit 0', "Timeout=4")
    began = time.monotonic()
    text = m.host.refused("guest-fsfreeze-freeze")
    check(re.fullmatch(r"quiesce failed: slow: freeze: timed out after [4-9]\.\d s", text), text)
    check(time.monotonic() - began < 20, "took too long")
    check(m.hook_log()[-1] == "10-slow abort", str(m.hook_log()))
    m.no_hooks()


def a_host_per_command_as_proxmox(m: Machine) -> None:
    m.host.close()
    for number in range(300):
        host = AgentHost(m.vm.agent_path)
        host.send(b'{"execute":"guest-sync-delimited","arguments":{"id":%d}}\n'
                  b'{"execute":"guest-ping","arguments":{}}\n' % number)
        first, second = host.line(10), host.line(10)
        check(first.endswith(b'\xff{"return": %d}' % number), repr(first))
        check(second == b'{"return": {}}', repr(second))
        host.close()
    m.host = AgentHost(m.vm.agent_path)
    m.host.sync()


def a_host_that_leaves_in_mid_request(m: Machine) -> None:
    m.host.send(b'{"execute":"guest-fsfreeze-fre')
    m.host.close()
    time.sleep(0.5)
    m.host = AgentHost(m.vm.agent_path)
    m.host.sync()
    check(m.host.call("guest-ping") == {})


def port_unplugged_and_back(m: Machine) -> None:
    m.host.close()
    m.vm.qmp.execute("device_del", id="p0")
    m.vm.wait_until("! test -e /dev/virtio-ports/org.qemu.guest_agent.0", 20, "the port to go")
    m.vm.run("systemctl is-active quiesced.service")
    m.vm.qmp.execute("device_add", driver="virtserialport", chardev="c0", id="p0",
                     name="org.qemu.guest_agent.0")
    m.host = AgentHost(m.vm.agent_path)
    m.host.sync()


def memory_stays_within_its_limit(m: Machine) -> None:
    out = m.vm.run("for p in $(pgrep -x quiesced) $(pgrep -x quiesced-keeper); do "
                   "grep RssAnon /proc/$p/status; done; pgrep -c 'quiesced'")
    anon = sum(int(line.split()[1]) for line in out.splitlines() if line.startswith("RssAnon"))
    print(f"# RssAnon of service and keeper: {anon} KiB")
    if anon > 2048:
        print(m.vm.run("for p in $(pgrep -x quiesced) $(pgrep -x quiesced-keeper); do grep -E "
                       "'^[0-9a-f]+-|^(Size|Anonymous|AnonHugePages):' /proc/$p/smaps; done; "
                       "cat /sys/kernel/mm/transparent_hugepage/enabled"))
    check(anon <= 2048, out)


def freeze_when_asked_again(m: Machine) -> None:
    """As KubeVirt does; on a busy machine the rest may once more take longer than it waits."""
    for _ in range(5):
        try:
            check(m.host.call("guest-fsfreeze-freeze") == FILESYSTEMS)
            return
        except AgentError as error:
            check("ask again" in error.desc or "the host waits only" in error.desc, error.desc)
            time.sleep(1)
    raise AssertionError("the host asked five times")


def slow_prepare_is_joined_under_kubevirt(m: Machine) -> None:
    m.no_hooks()
    m.configure("[quiesce]\nhost=kubevirt\n")
    m.hook("10-slow", '[ "$1" = prepare ] && sleep 6; exit 0', "Timeout=30")
    began = time.monotonic()
    text = m.host.refused("guest-fsfreeze-freeze")
    check(re.search(r"slow: prepare: still running after [4-7]\.", text), text)
    check(time.monotonic() - began < 8)
    time.sleep(4)
    freeze_when_asked_again(m)
    check(m.hook_log().count("10-slow prepare") == 1, str(m.hook_log()))
    check(m.host.call("guest-fsfreeze-thaw") == FILESYSTEMS)
    m.no_hooks()
    m.configure("")


CASES = [frozen_means_no_write_completes, the_journal_tells, the_journal_explains,
         hooks_run_in_order_and_reverse, list_freezes_only_what_it_names, failing_hook_is_rolled_back,
         hook_timeout_is_bounded, a_host_per_command_as_proxmox, a_host_that_leaves_in_mid_request,
         port_unplugged_and_back, memory_stays_within_its_limit,
         slow_prepare_is_joined_under_kubevirt]
