"""libvirt as the host: domfsfreeze, domfsthaw, snapshot-create-as --quiesce against the agent.
What else it asks is in libvirt_commands.py, on the same machine."""

import subprocess

import libvirt_commands
from context import check
from libvirt_machine import DOMAIN, GROUP, LibvirtMachine, virsh


def machine(tree) -> LibvirtMachine:
    return LibvirtMachine(tree)


def agent_status() -> str:
    return virsh("qemu-agent-command", DOMAIN, '{"execute":"guest-fsfreeze-status"}')


def connected_by_udev(m: LibvirtMachine) -> None:
    xml = virsh("dumpxml", DOMAIN)
    check("name='org.qemu.guest_agent.0' state='connected'" in xml, "channel not connected")


def domfsfreeze_and_domfsthaw(m: LibvirtMachine) -> None:
    check("1 filesystem" in virsh("domfsfreeze", DOMAIN))
    check("frozen" in agent_status())
    check("the agent is in frozen state" in virsh("domfsfreeze", DOMAIN, ok=False))
    check("1 filesystem" in virsh("domfsthaw", DOMAIN))
    check("thawed" in agent_status())
    check("0 filesystem" in virsh("domfsthaw", DOMAIN))


def domfsfreeze_with_mountpoints(m: LibvirtMachine) -> None:
    check("1 filesystem" in virsh("domfsfreeze", DOMAIN, "/"))
    check("1 filesystem" in virsh("domfsthaw", DOMAIN))
    text = virsh("domfsfreeze", DOMAIN, "/nowhere", ok=False)
    check("/nowhere" in text, text)


def snapshot_quiesce(m: LibvirtMachine) -> None:
    target = m.vm.work / "snapshot.qcow2"
    virsh("snapshot-create-as", DOMAIN, "s1", "--disk-only", "--quiesce", "--no-metadata",
          "--diskspec", f"vda,file={target}", "--diskspec", "vdb,snapshot=no")
    check(target.exists())
    check("thawed" in agent_status())
    text = virsh("qemu-agent-command", DOMAIN, '{"execute":"guest-quiesce-report"}')
    check('"result":"ok"' in text.replace(" ", ""), text)
    # The frozen disk needs no journal recovery: bit 2 of the superblock's incompatible features.
    raw = m.vm.work / "superblock"
    subprocess.run(["qemu-img", "dd", "-U", "-f", "qcow2", "-O", "raw", "bs=1024", "skip=1",
                    "count=2", f"if={m.vm.root_disk}", f"of={raw}"], check=True)
    check(raw.read_bytes()[0x60] & 4 == 0, "the snapshot's ext4 needs recovery")


CASES = [connected_by_udev, domfsfreeze_and_domfsthaw, domfsfreeze_with_mountpoints,
         snapshot_quiesce, *libvirt_commands.CASES]
__all__ = ["CASES", "GROUP", "machine"]

