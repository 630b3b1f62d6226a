"""libvirt as the host: domfsfreeze, domfsthaw, snapshot-create-as --quiesce against the agent."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from context import check
from vmlab.machine import Vm

GROUP = "libvirt"
DOMAIN = "quiesced-test"

XML = """<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name><memory unit='MiB'>1536</memory><vcpu>2</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><kernel>{kernel}</kernel><initrd>{initrd}</initrd>
    <cmdline>console=ttyS0 root=/dev/vda rw panic=-1 net.ifnames=0 mitigations=off quiet</cmdline></os>
  <cpu mode='maximum'/><features><acpi/></features>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{root}'/>
      <target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='disk' snapshot='no'><driver name='qemu' type='raw'/>
      <source file='{payload}'/><target dev='vdb' bus='virtio'/><readonly/></disk>
    <serial type='file'><source path='{console}'/></serial>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <channel type='unix'><source mode='bind' path='{lab}'/>
      <target type='virtio' name='org.quiesced.lab.0'/></channel>
    <memballoon model='none'/></devices>
</domain>
"""
CONF = 'user = "root"\ngroup = "root"\nsecurity_driver = "none"\ncgroup_controllers = []\n' \
       "remember_owner = 0\nnamespaces = []\n"


def virsh(*arguments: str, ok: bool = True) -> str:
    result = subprocess.run(["virsh", *arguments], capture_output=True, text=True,
                            timeout=120, check=False)
    text = (result.stdout + result.stderr).strip()
    if ok and result.returncode != 0:
        raise AssertionError(f"virsh {' '.join(arguments)}: {text}")
    return text


class LibvirtMachine:
    """libvirtd of this machine, started if it does not run, and one domain."""

    def __init__(self, tree: Path) -> None:
        self.vm = Vm(tree, name=GROUP)

    def _start_libvirt(self) -> None:
        Path("/etc/libvirt").mkdir(exist_ok=True)
        if subprocess.run(["virsh", "-q", "uri"], capture_output=True, check=False,
                          timeout=30).returncode == 0:
            return
        Path("/etc/libvirt/qemu.conf").write_text(CONF)
        for daemon in ("virtlogd", "libvirtd"):
            subprocess.run([shutil.which(daemon) or f"/usr/sbin/{daemon}", "-d"], check=True)
        deadline = time.monotonic() + 30
        while subprocess.run(["virsh", "-q", "list"], capture_output=True,
                             check=False).returncode != 0:
            if time.monotonic() > deadline:
                raise TimeoutError("libvirtd does not answer")
            time.sleep(0.3)

    def __enter__(self) -> "LibvirtMachine":
        os.environ["LIBVIRT_DEFAULT_URI"] = "qemu:///system"
        os.chmod(self.vm.work, 0o755)
        self._start_libvirt()
        virsh("destroy", DOMAIN, ok=False)
        virsh("undefine", "--snapshots-metadata", DOMAIN, ok=False)
        definition = self.vm.work / "domain.xml"
        definition.write_text(XML.format(
            name=DOMAIN, kernel=self.vm.image.kernel, initrd=self.vm.image.initramfs,
            root=self.vm.root_disk, payload=self.vm.work / "payload.tar", console=self.vm.console,
            lab=self.vm.work / "lab"))
        virsh("define", str(definition))
        virsh("start", DOMAIN)
        self.wait_agent()
        return self

    def wait_agent(self) -> None:
        """The agent was started by udev alone, as in an installed system."""
        deadline = time.monotonic() + 120
        while "return" not in virsh("qemu-agent-command", DOMAIN, '{"execute":"guest-ping"}',
                                    ok=False):
            if time.monotonic() > deadline:
                raise TimeoutError(self.vm.console.read_text(errors="replace")[-2000:])
            time.sleep(1)

    def __exit__(self, *exception) -> None:
        virsh("destroy", DOMAIN, ok=False)
        virsh("undefine", "--snapshots-metadata", DOMAIN, ok=False)
        self.vm.__exit__(*exception)

    def after_failure(self) -> None:
        virsh("domfsthaw", DOMAIN, ok=False)


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
         snapshot_quiesce]

