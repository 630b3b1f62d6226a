"""One domain under libvirt, whose agent was started by udev alone."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from vmlab.machine import Vm

GROUP = "libvirt"
DOMAIN = "quiesced-test"

XML = """<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name><memory unit='MiB'>1536</memory><vcpu>2</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><kernel>{kernel}</kernel><initrd>{initrd}</initrd>
    <cmdline>console=ttyS0 root=/dev/vda rw panic=-1 net.ifnames=0 mitigations=off quiet</cmdline></os>
  <cpu mode='maximum'/><features><acpi/></features>
  <pm><suspend-to-mem enabled='yes'/></pm>
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
        self.connect_lab()
        return self

    def connect_lab(self) -> None:
        """Makes vm.run() work."""
        self.vm.lab = socket.socket(socket.AF_UNIX)
        self.vm.lab.connect(str(self.vm.work / "lab"))
        self.vm.lab_buffer = b""

    def wait_agent(self) -> None:
        """The agent was started by udev alone, as in an installed system, and would freeze."""
        deadline = time.monotonic() + 240
        while '"ready":true' not in agent('{"execute":"guest-quiesce-status"}', ok=False):
            if time.monotonic() > deadline:
                raise TimeoutError(self.vm.console.read_text(errors="replace")[-2000:])
            time.sleep(1)

    def __exit__(self, *exception) -> None:
        virsh("destroy", DOMAIN, ok=False)
        virsh("undefine", "--snapshots-metadata", DOMAIN, ok=False)
        self.vm.__exit__(*exception)

    def after_failure(self) -> None:
        virsh("domfsthaw", DOMAIN, ok=False)


def agent(text: str, ok: bool = True) -> str:
    """The reply to a request sent as it stands, without blanks."""
    return virsh("qemu-agent-command", DOMAIN, text, ok=ok).replace(" ", "")
