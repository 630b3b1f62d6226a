"""Every command of virsh that asks the agent for something other than a freeze."""

import datetime
import re
import time

from context import check
from libvirt_machine import DOMAIN, LibvirtMachine, agent, virsh
from vmlab.machine import GuestError

USER = "libvirt-user"
KEYS = ("ssh-ed25519 AAAAC3Nza one@example", "ssh-rsa AAAAB3Nza two@example")
BOOT_SECONDS = 600  # a shutdown and a boot, beside other machines


def guestinfo_fills_every_group(m: LibvirtMachine) -> None:
    text = virsh("guestinfo", DOMAIN)
    for field in ("os.id", "os.name", "os.kernel-release", "os.machine", "timezone.offset",
                  "hostname", "fs.count", "fs.0.mountpoint", "fs.0.fstype", "fs.0.disk.count",
                  "disk.count", "disk.0.name", "if.count", "if.0.name"):
        check(re.search(rf"(?m)^{re.escape(field)}\s*: \S", text), f"{field} is not in\n{text}")
    check(re.search(r"(?m)^user.count\s*: \d", text), text)
    for group, field in (("--os", "os.id"), ("--timezone", "timezone.offset"), ("--user",
                         "user.count"), ("--hostname", "hostname"), ("--filesystem", "fs.count"),
                         ("--disk", "disk.count"), ("--interface", "if.count")):
        check(field in virsh("guestinfo", DOMAIN, group), group)


def guestinfo_while_frozen(m: LibvirtMachine) -> None:
    virsh("domfsfreeze", DOMAIN)
    try:
        text = virsh("guestinfo", DOMAIN)
    finally:
        virsh("domfsthaw", DOMAIN)
    for field in ("os.id", "timezone.offset", "hostname", "fs.count", "disk.count", "if.count"):
        check(re.search(rf"(?m)^{re.escape(field)}\s*: \S", text), f"{field} is not in\n{text}")


def domfsinfo(m: LibvirtMachine) -> None:
    text = virsh("domfsinfo", DOMAIN)
    check(re.search(r"(?m)^\s*/\s+\S+\s+ext4\s+vda\s*$", text), text)


def addresses_and_host_name(m: LibvirtMachine) -> None:
    m.vm.run("modprobe bridge; ip link add br0 type bridge; ip link set br0 up; "
             "ip addr add 192.0.2.7/24 dev br0; ip addr add 2001:db8::7/64 dev br0 nodad")
    wanted = ("192.0.2.7/24", "2001:db8::7/64", "br0")
    deadline = time.monotonic() + 10  # on a busy machine it is the answer of before, once
    text = virsh("domifaddr", DOMAIN, "--source", "agent")
    while not all(word in text for word in wanted) and time.monotonic() < deadline:
        time.sleep(0.5)
        text = virsh("domifaddr", DOMAIN, "--source", "agent")
    check(all(word in text for word in wanted), text)
    check(virsh("domhostname", DOMAIN, "--source", "agent") == "quiesced-guest")


def domtime(m: LibvirtMachine) -> None:
    virsh("domtime", DOMAIN, "1790000000")
    check(abs(int(m.vm.run("date +%s")) - 1790000000) < 60)
    check("2026-09-21" in virsh("domtime", DOMAIN, "--pretty"))
    virsh("domtime", DOMAIN, "--now")
    now = datetime.datetime.now(datetime.timezone.utc).timestamp()
    check(abs(int(m.vm.run("date +%s")) - now) < 60)
    m.vm.run("date -s @1700000000")
    virsh("domtime", DOMAIN, "--sync")  # from the hardware clock
    check(abs(int(m.vm.run("date +%s")) - time.time()) < 86400, m.vm.run("date"))


def current_vcpus(m: LibvirtMachine) -> str:
    """The second answer: one that takes long is given from what was read the time before."""
    virsh("guestvcpus", DOMAIN)
    time.sleep(1)
    return virsh("guestvcpus", DOMAIN)


def setvcpus(m: LibvirtMachine) -> None:
    virsh("setvcpus", DOMAIN, "1", "--guest")
    check(m.vm.run("nproc").strip() == "1")
    current_vcpus(m)
    virsh("setvcpus", DOMAIN, "2", "--guest")
    check(m.vm.run("nproc").strip() == "2")
    check(re.search(r"(?m)^online\s*: 0-1$", current_vcpus(m)))


def domfstrim(m: LibvirtMachine) -> None:
    virsh("domfstrim", DOMAIN)
    virsh("domfstrim", DOMAIN, "--minimum", "1337")


def set_user_password(m: LibvirtMachine) -> None:
    m.vm.run(f"id {USER} >/dev/null 2>&1 || useradd -m {USER}")
    before = m.vm.run(f"getent shadow {USER}")
    virsh("set-user-password", DOMAIN, USER, "secret")
    after = m.vm.run(f"getent shadow {USER}").split(":")[1]
    check(after.startswith("$") and after not in before, after)
    virsh("set-user-password", DOMAIN, USER, "$6$abc$def", "--encrypted")
    check(m.vm.run(f"getent shadow {USER}").split(":")[1] == "$6$abc$def")


def user_sshkeys(m: LibvirtMachine) -> None:
    m.vm.run(f"id {USER} >/dev/null 2>&1 || useradd -m {USER}")
    keys = m.vm.work / "keys"
    keys.write_text("\n".join(KEYS) + "\n")
    virsh("set-user-sshkeys", DOMAIN, USER, "--file", str(keys))
    told = virsh("get-user-sshkeys", DOMAIN, USER)  # libvirt 9 puts no line ends between them
    check(all(key in told for key in KEYS) and "error" not in told, told)
    keys.write_text(KEYS[0] + "\n")
    virsh("set-user-sshkeys", DOMAIN, USER, "--remove", "--file", str(keys))
    told = virsh("get-user-sshkeys", DOMAIN, USER)
    check(told == KEYS[1], told)
    virsh("set-user-sshkeys", DOMAIN, USER, "--reset", "--file", str(keys))
    told = virsh("get-user-sshkeys", DOMAIN, USER)
    check(told == KEYS[0], told)
    check(m.vm.run(f"stat -c '%a %U' /home/{USER}/.ssh/authorized_keys").strip() == f"600 {USER}")


def qemu_agent_command(m: LibvirtMachine) -> None:
    check(agent('{"execute":"guest-ping"}') == '{"return":{}}')
    text = virsh("qemu-agent-command", DOMAIN, '{"execute":"ble"}', ok=False)
    check("The command ble has not been found" in text, text)
    text = agent('{"execute":"guest-exec","arguments":{"path":"/bin/true"}}')
    check(re.fullmatch(r'\{"return":\{"pid":\d+\}\}', text), text)


def a_refused_suspend_is_an_error(m: LibvirtMachine) -> None:
    """Nothing to hibernate to: libvirt must not wait for an event that never comes."""
    began = time.monotonic()
    text = virsh("dompmsuspend", DOMAIN, "disk", ok=False)
    check("error" in text and time.monotonic() - began < 60, text)
    check(agent('{"execute":"guest-ping"}') == '{"return":{}}')


def boot_id(m: LibvirtMachine) -> str:
    return m.vm.run("cat /proc/sys/kernel/random/boot_id", timeout=3)


def reboot_by_the_agent(m: LibvirtMachine) -> None:
    before = boot_id(m)
    virsh("reboot", DOMAIN, "--mode", "agent")
    deadline = time.monotonic() + BOOT_SECONDS
    now = before
    while now == before and time.monotonic() < deadline:
        try:
            now = boot_id(m)
        except (OSError, GuestError):  # time-outs among them
            m.connect_lab()
        time.sleep(0.5)
    check(now != before, "the machine was not rebooted")
    m.wait_agent()
    check("thawed" in agent('{"execute":"guest-fsfreeze-status"}'))


def shutdown_by_the_agent(m: LibvirtMachine) -> None:
    """While frozen: it thaws first, for a clean end. The last case."""
    virsh("domfsfreeze", DOMAIN)
    virsh("shutdown", DOMAIN, "--mode", "agent")
    deadline = time.monotonic() + 180
    while virsh("domstate", DOMAIN) != "shut off":
        check(time.monotonic() < deadline, m.vm.console.read_text(errors="replace")[-1500:])
        time.sleep(0.5)


CASES = [guestinfo_fills_every_group, guestinfo_while_frozen, domfsinfo, addresses_and_host_name,
         domtime, setvcpus, domfstrim, set_user_password, user_sshkeys, qemu_agent_command,
         a_refused_suspend_is_an_error, reboot_by_the_agent, shutdown_by_the_agent]
