"""The thaw guarantee in a real machine: deaths and deadlines while frozen."""

import time

from context import FILESYSTEMS, Machine, check

GROUP = "faults"
UNREACHABLE_SECONDS = 4  # by the next start; both may be dead for 2 s, and this is emulated


def machine(tree) -> Machine:
    return Machine(tree, name=GROUP)


def told_once(m: Machine, reason: str) -> None:
    """The host's next thaw gets the one verdict, the one after does not."""
    text = m.host.refused("guest-fsfreeze-thaw")
    check(text.startswith("fsfreeze is limited up to") and reason in text, text)
    check(m.host.call("guest-fsfreeze-thaw") == 0)


def next_freeze_works(m: Machine) -> None:
    m.host.wait_ready()
    check(m.host.call("guest-fsfreeze-freeze") == FILESYSTEMS)
    check(m.host.call("guest-fsfreeze-thaw") == FILESYSTEMS)


def deadline_thaws_and_is_told(m: Machine) -> None:
    m.no_hooks()
    m.hook("10-app")
    with m.writers() as writers:
        m.host.call("guest-quiesce-freeze", {"frozen-limit-ms": 3000})
        longest = max(value[1] for value in writers.go_on(4).values())
        print(f"# longest write across a limit of 3 s: {longest / 1000:.0f} ms")
    m.vm.wait_until("tail -n 1 /run/hook.log | grep -q '10-app abort'", 20, "the hook's abort")
    told_once(m, "the frozen limit passed")
    next_freeze_works(m)
    m.no_hooks()


def service_killed_while_frozen(m: Machine) -> None:
    m.no_hooks()
    m.hook("10-app")
    with m.writers() as writers:
        m.host.call("guest-fsfreeze-freeze")
        m.vm.run("kill -KILL $(pgrep -x quiesced)")
        time.sleep(1)
        writers.go_on()
    m.host.sync()
    m.vm.wait_until("tail -n 1 /run/hook.log | grep -q '10-app abort'", 20, "the hook's abort")
    told_once(m, "the service was restarted")
    next_freeze_works(m)
    m.no_hooks()


def keeper_killed_while_frozen(m: Machine) -> None:
    with m.writers() as writers:
        m.host.call("guest-fsfreeze-freeze")
        m.vm.run("kill -KILL $(pgrep -x quiesced-keeper)")
        time.sleep(1)
        writers.go_on()
    told_once(m, "")
    next_freeze_works(m)


def kill_both(m: Machine, between: str = "") -> None:
    """At once: the service cannot see the keeper's end before its own."""
    m.vm.run("service=$(pgrep -x quiesced); kill -STOP $service; "
             f"kill -KILL $(pgrep -x quiesced-keeper); {between}kill -KILL $service")


def both_killed_while_frozen(m: Machine) -> None:
    with m.writers() as writers:
        m.host.call("guest-fsfreeze-freeze")
        kill_both(m)
        time.sleep(4)
        writers.go_on()
    m.host.sync()
    told_once(m, "the service was restarted")
    next_freeze_works(m)


def both_killed_without_systemd(m: Machine) -> None:
    """Log and pid file are on what is frozen: the next start thaws before it opens them."""
    agent = ("bash -c 'exec -a qemu-ga /usr/sbin/quiesced --daemonize --logfile /srv/ext4/agent.log"
             " --pidfile /srv/ext4/agent.pid'")
    m.vm.run("systemctl stop quiesced.service quiesced-keeper.socket quiesced-keeper.service")
    m.vm.run(agent)
    m.host.wait_ready()
    check(m.host.call("guest-fsfreeze-freeze") == FILESYSTEMS)
    kill_both(m)
    check(m.frozen("/srv/ext4") and m.frozen("/root"), "thawed by nobody")
    m.vm.run(agent, timeout=20)
    check(not m.frozen("/srv/ext4") and not m.frozen("/root"), "the start left it frozen")
    m.host.sync()
    told_once(m, "the service was restarted")
    next_freeze_works(m)
    m.vm.run("grep -q 'Channel default is open' /srv/ext4/agent.log")
    m.vm.run("pkill -x quiesced; while pgrep -x quiesced; do sleep 0.1; done; "
             "systemctl start quiesced-keeper.socket quiesced.service")
    m.host.wait_ready()


def both_killed_and_the_ledger_lost(m: Machine) -> None:
    """What was frozen is known from the fds that systemd keeps, and from nothing else."""
    with m.writers() as writers:
        m.host.call("guest-fsfreeze-freeze")
        kill_both(m, "rm /run/quiesced/ledger; ")
        time.sleep(UNREACHABLE_SECONDS)
        longest = max(value[1] for value in writers.go_on().values())
        print(f"# longest write across both deaths: {longest / 1000:.0f} ms")
    m.host.sync()
    told_once(m, "the service was restarted and its ledger is lost")
    m.vm.run("journalctl --sync; journalctl --unit quiesced.service --boot --output cat | "
             "grep -q 'The ledger is lost'")
    next_freeze_works(m)


def unmounted_while_frozen_and_both_killed(m: Machine) -> None:
    """No path leads to them any more: what thaws them is the fds that systemd keeps."""
    with m.writers() as writers:
        m.host.call("guest-fsfreeze-freeze")
        m.vm.run("umount --lazy /srv/ext4; umount --lazy /srv/btrfs; "
                 "! grep -E ' /srv/(ext4|btrfs) ' /proc/self/mountinfo")
        kill_both(m)
        time.sleep(UNREACHABLE_SECONDS)
        writers.go_on()
    m.host.sync()
    told_once(m, "the service was restarted")
    m.vm.run("mount /dev/vdc /srv/ext4; mount /dev/vde /srv/btrfs")
    next_freeze_works(m)


def service_stopped_by_sigstop(m: Machine) -> None:
    with m.writers() as writers:
        m.host.call("guest-fsfreeze-freeze")
        m.vm.run("kill -STOP $(pgrep -x quiesced)")
        time.sleep(7)
        writers.go_on()
        m.vm.run("kill -CONT $(pgrep -x quiesced)")
    m.host.sync()
    told_once(m, "")
    next_freeze_works(m)


def systemctl_stop_while_frozen(m: Machine) -> None:
    m.host.call("guest-fsfreeze-freeze")
    m.vm.run("systemctl stop quiesced.service", timeout=20)
    check(not m.frozen("/srv/ext4") and not m.frozen("/root"))
    m.vm.run("systemctl start quiesced.service")
    m.host.sync()
    told_once(m, "the service was stopped")
    next_freeze_works(m)


def somebody_else_thaws(m: Machine) -> None:
    m.host.call("guest-fsfreeze-freeze")
    m.vm.run("fsfreeze --unfreeze /srv/xfs")
    told_once(m, "/srv/xfs was thawed by somebody else")
    next_freeze_works(m)


def somebody_else_froze(m: Machine) -> None:
    m.vm.run("fsfreeze --freeze /srv/xfs")
    text = m.host.refused("guest-fsfreeze-freeze")
    check("/srv/xfs: filesystem: frozen by somebody else" in text, text)
    check(m.frozen("/srv/xfs"), "a freeze made by somebody else was thawed")
    check(not m.frozen("/srv/ext4"))
    m.vm.run("fsfreeze --unfreeze /srv/xfs")
    next_freeze_works(m)


def loop_filesystem_before_its_carrier(m: Machine) -> None:
    m.vm.run("modprobe loop; truncate -s 64M /srv/ext4/image && mkfs.ext4 -q /srv/ext4/image && "
             "mkdir -p /srv/loop && mount -o loop /srv/ext4/image /srv/loop && "
             "dd if=/dev/zero of=/srv/loop/dirty bs=1M count=20 status=none", timeout=60)
    check(m.host.call("guest-fsfreeze-freeze") == FILESYSTEMS + 1)
    check(m.host.call("guest-fsfreeze-thaw") == FILESYSTEMS + 1)
    m.vm.wait_until("umount /srv/loop", 20, "the last fd's end")
    m.vm.run("rm /srv/ext4/image")


CASES = [deadline_thaws_and_is_told, service_killed_while_frozen, keeper_killed_while_frozen,
         both_killed_while_frozen, both_killed_without_systemd,
         both_killed_and_the_ledger_lost, unmounted_while_frozen_and_both_killed,
         service_stopped_by_sigstop, systemctl_stop_while_frozen,
         somebody_else_thaws, somebody_else_froze, loop_filesystem_before_its_carrier]
