"""The distribution's qemu-ga and quiesced in one machine, asked the same, answers held against
each other. Every difference stands in compare_differences.py with its reason, or a case fails."""

import time

from compare import Difference, Talker, command_of, find
from compare_differences import DIFFERENCES
from compare_requests import CONVERSATIONS, LOOKS, RAW, UNFINISHED, WHILE_FROZEN, generated
from context import Machine, check
from vmlab.host import AgentHost

GROUP = "compare"
SHOWN = 100  # differences that a failure prints
SLOW_SECONDS = 5


class Both(Machine):
    """The two agents, each on its port. What was different so far is kept for the last case."""

    def begin(self) -> None:
        self.vm.run(
            "mkdir -p /srv/data && mkfs.ext4 -q /dev/vdc && mount /dev/vdc /srv/data && "
            "modprobe bridge && ip link add br0 type bridge && ip link set br0 up && "
            "ip addr add 192.0.2.7/24 dev br0 && ip addr add 2001:db8::7/64 dev br0 && "
            "ip route add 198.51.100.0/24 via 192.0.2.1 && ip link set lo up")
        super().begin()
        self.vm.spawn("cd / && exec qemu-ga -m virtio-serial "
                      "-p /dev/virtio-ports/org.quiesced.stock.0")
        other = AgentHost(self.vm.stock_path)
        other.sync()
        self.stock, self.ours = Talker(other, self.vm), Talker(self.host, self.vm)
        self.found: set[Difference] = set()
        self.requests = 0

    def hold(self, name: str, steps: list) -> list[Difference]:
        """One conversation with each; what is different and not on the list."""
        answers = []
        for agent in (self.stock, self.ours):
            began = time.monotonic()
            answers.append(agent.talk(steps))
            if time.monotonic() - began > SLOW_SECONDS:
                print(f"# {name!r} took {'quiesced' if agent is self.ours else 'qemu-ga'} "
                      f"{time.monotonic() - began:.0f} s")
        differences = []
        for step, stock, ours in zip(steps, *answers):
            self.requests += not isinstance(step, str)
            differences += find(name, command_of(step), [stock], [ours])
        return self.unknown(differences)

    def unknown(self, differences: list[Difference]) -> list[Difference]:
        self.found.update(differences)
        return [one for one in differences if not any(known.covers(one) for known in DIFFERENCES)]

    def after_failure(self) -> None:
        super().after_failure()
        self.stock.host.buffer = b""
        self.stock.host.sync()


def machine(tree) -> Both:
    return Both(tree, name=GROUP, mounts=(), more_disks=(64,))


def expect_none(unknown: list[Difference]) -> None:
    more = f"\n… and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
    check(not unknown, f"{len(unknown)} differences that are not on the list:\n" +
          "\n".join(map(str, unknown[:SHOWN])) + more)


def wrong_arguments(m: Both) -> None:
    expect_none([one for name, steps in generated().items() for one in m.hold(name, steps)])


def odd_bytes(m: Both) -> None:
    unknown = []
    for name, data in RAW.items():
        answers = [agent.raw(data, name in UNFINISHED) for agent in (m.stock, m.ours)]
        m.requests += 1
        unknown += m.unknown(find(name, "wire", *answers))
    expect_none(unknown)


def same_bytes_on_the_wire(m: Both) -> None:
    """Not only the same values: blanks and line ends too, for hosts with regular expressions."""
    for command in ("guest-ping", "guest-fsfreeze-status", "guest-get-host-name"):
        lines = []
        for agent in (m.stock, m.ours):
            agent.host.request(command)
            lines.append(agent.host.line(20))
        check(lines[0] == lines[1], f"{lines}")


def looks(m: Both) -> None:
    # What a disk may hold up is answered from memory when it takes long: let that be of now.
    for command in LOOKS:
        m.ours.ask(command, None)
    time.sleep(2)
    expect_none([one for command in LOOKS for one in m.hold(command, [(command, None)])])


def conversations(m: Both) -> None:
    began = time.monotonic()
    expect_none([one for name, steps in CONVERSATIONS.items() for one in m.hold(name, steps)])
    print(f"# {m.requests} requests to each so far, {time.monotonic() - began:.0f} s")


def refused(reply: dict) -> bool:
    return "the agent is in frozen state" in reply.get("error", {}).get("desc", "")


def while_frozen(m: Both) -> None:
    answers: list[list] = []
    for agent in (m.stock, m.ours):
        agent.ask("guest-fsfreeze-freeze", None)
        try:
            answers.append([agent.ask(command, arguments) for command, arguments in WHILE_FROZEN])
        finally:
            agent.ask("guest-fsfreeze-thaw", None)
    unknown = []
    for (command, _), stock, ours in zip(WHILE_FROZEN, *answers):
        m.requests += 1
        # What is answered although the stock agent refuses is compared in looks().
        if refused(stock) and not refused(ours):
            stock, ours = {"answered": False}, {"answered": True}
        unknown += m.unknown(find("while frozen", command, [stock], [ours]))
    expect_none(unknown)


def in_the_place_of_the_stock_agent(m: Both) -> None:
    """The distribution's unit and qemu-ga.conf as they are; only the program is another."""
    m.vm.run("systemctl stop quiesced.service; cp /usr/sbin/qemu-ga /run/qemu-ga.kept; "
             "ln -sf quiesced /usr/sbin/qemu-ga; mkdir -p /etc/qemu; "
             "rm -f /etc/systemd/system/qemu-guest-agent.service; systemctl daemon-reload")
    m.vm.put("/etc/qemu/qemu-ga.conf",
             "[general]\nblock-rpcs=guest-exec;guest-exec-status\nverbose=false\n")
    try:
        m.vm.run("systemctl start qemu-guest-agent.service")
        m.host.wait_ready()
        info = m.host.call("guest-info")
        check("quiesced" in info["version"], info["version"])
        blocked = {one["name"] for one in info["supported_commands"] if not one["enabled"]}
        check(blocked == {"guest-exec", "guest-exec-status"}, str(blocked))
        check(m.host.call("guest-fsfreeze-freeze") == 2)
        check(m.host.call("guest-fsfreeze-thaw") == 2)
        m.vm.run("systemctl stop qemu-guest-agent.service")
        check(m.vm.run("qemu-ga -V").startswith("QEMU Guest Agent "))
    finally:
        m.vm.run("systemctl stop qemu-guest-agent.service; rm -f /etc/qemu/qemu-ga.conf "
                 "/usr/sbin/qemu-ga; mv /run/qemu-ga.kept /usr/sbin/qemu-ga; "
                 "systemctl start quiesced.service")
        m.host.wait_ready()


def every_entry_of_the_list_is_true(m: Both) -> None:
    check(m.requests > 500, f"only {m.requests} requests: run all cases of {GROUP}")
    idle = [known for known in DIFFERENCES if not any(known.covers(one) for one in m.found)]
    check(not idle, "no difference any more:\n" +
          "\n".join(f"{known.what} ({known.command} {known.place})" for known in idle))
    print(f"# {m.requests} requests to each agent, {len(m.found)} differences, "
          f"{len(DIFFERENCES)} reasons")


CASES = [wrong_arguments, odd_bytes, same_bytes_on_the_wire, looks, conversations, while_frozen,
         in_the_place_of_the_stock_agent, every_entry_of_the_list_is_true]

