"""Builds and caches the guest: a Debian root filesystem, its kernel, and a small initramfs.

Nothing is mounted on this machine: mmdebstrap fills a directory, mke2fs makes a disk of it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SUITE = "bookworm"
PACKAGES = (
    "systemd,systemd-sysv,dbus,udev,kmod,e2fsprogs,xfsprogs,btrfs-progs,util-linux,procps,"
    "python3-minimal,libpython3-stdlib,postgresql,postgresql-contrib,qemu-guest-agent,dmsetup,"
    "libglib2.0-0,libjansson4,libmount1,libsystemd0,iproute2"
)
# In the order in which each needs the ones before.
BOOT_MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev",
                "virtio_pci", "virtio_blk", "virtio_console")
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer",
          "dpkg-db-backup.timer", "e2scrub_reap.service", "systemd-timesyncd.service",
          "getty@tty1.service", "qemu-guest-agent.service", "postgresql.service",
          "systemd-networkd-wait-online.service", "systemd-random-seed.service")
INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /newroot
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
for module in %s; do /bin/busybox insmod /modules/$module.ko; done
/bin/busybox mount -t ext4 -o noatime /dev/vda /newroot || exec /bin/busybox sh
/bin/busybox tar -x -f /dev/vdb -C /newroot
exec /bin/busybox switch_root /newroot /sbin/init
"""


@dataclass
class Image:
    """What a machine boots from."""

    kernel: Path
    initramfs: Path
    root: Path


def say(text: str) -> None:
    """Progress, to standard error so that TAP on standard output stays clean."""
    print(f"    {text}", file=sys.stderr, flush=True)


def _run(*command: str, **options) -> None:
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            check=False, **options)
    if result.returncode != 0:
        tail = result.stdout.decode(errors="replace")[-3000:]
        raise RuntimeError(f"{command[0]} failed with status {result.returncode}:\n{tail}")


def _apt_sources() -> list[str]:
    """The sources of this machine where it has apt, else mmdebstrap's own default."""
    found = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    os_release = Path("/etc/os-release").read_text(encoding="utf-8")
    if "VERSION_CODENAME=" + SUITE not in os_release:
        return []
    return [str(path) for path in found if path.is_file() and path.stat().st_size > 0
            and path.suffix in (".list", ".sources")]


def _apt_options(work: Path) -> list[str]:
    """Proxies and the like, as this machine's apt has them."""
    if not shutil.which("apt-config"):
        return []
    dump = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True,
                          check=False).stdout
    lines = [line for line in dump.splitlines() if line.startswith("Acquire") and '""' not in line]
    path = work / "apt.conf"
    path.write_text("\n".join(lines) + "\n")
    return [f"--aptopt={path}"]


def _bootstrap(work: Path) -> Path:
    root = work / "root"
    kernel = ('chroot "$1" sh -c \'cd /tmp && apt-get -q download $(apt-cache depends '
              "linux-image-cloud-amd64 | sed -n \"s/.*Depends: //p\" | head -n 1) && "
              "dpkg -x linux-image-*.deb /kernel && rm linux-image-*.deb'")
    slim = ('rm -rf "$1"/usr/share/man "$1"/usr/share/doc "$1"/usr/share/locale '
            '"$1"/usr/lib/llvm-* "$1"/usr/lib/x86_64-linux-gnu/libLLVM* '
            '"$1"/usr/lib/postgresql/*/lib/llvmjit* "$1"/usr/lib/postgresql/*/lib/bitcode '
            '"$1"/var/cache/apt "$1"/var/lib/apt/lists')
    options = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "info")]
    _run("mmdebstrap", "--variant=minbase", "--mode=root" if os.getuid() == 0 else "--mode=auto",
         "--format=directory", *_apt_options(work), *options, f"--include={PACKAGES}",
         f"--customize-hook={kernel}", f"--customize-hook={slim}", SUITE, str(root),
         *_apt_sources())
    return root


def _prepare(root: Path, work: Path) -> str:
    """Kernel modules into place, units that only slow the boot masked, root may log in nowhere."""
    kernel_tree = root / "kernel"
    release = next((kernel_tree / "lib/modules").iterdir()).name
    shutil.copy(next((kernel_tree / "boot").glob("vmlinuz-*")), work / "vmlinuz")
    shutil.copytree(kernel_tree / "lib/modules" / release, root / "usr/lib/modules" / release,
                    symlinks=True)
    shutil.rmtree(kernel_tree)
    for unused in ("drivers/net", "drivers/gpu", "drivers/media", "sound"):
        shutil.rmtree(root / "usr/lib/modules" / release / "kernel" / unused, ignore_errors=True)
    _run("chroot", str(root), "depmod", release)
    for unit in MASKED:
        (root / "etc/systemd/system" / unit).unlink(missing_ok=True)
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    (root / "etc/fstab").write_text("")
    (root / "etc/hostname").write_text("quiesced-guest\n")
    (root / "etc/systemd/journald.conf").write_text("[Journal]\nStorage=volatile\n")
    return release


def _initramfs(root: Path, release: str, target: Path, work: Path) -> None:
    tree = work / "initramfs"
    (tree / "bin").mkdir(parents=True)
    (tree / "modules").mkdir()
    shutil.copy(shutil.which("busybox") or "/bin/busybox", tree / "bin/busybox")
    for module in BOOT_MODULES:
        path = next((root / "usr/lib/modules" / release).rglob(f"{module}.ko"))
        shutil.copy(path, tree / "modules" / path.name)
    (tree / "init").write_text(INIT % " ".join(BOOT_MODULES))
    (tree / "init").chmod(0o755)
    with open(target, "wb") as output:
        find = subprocess.Popen(["find", "."], cwd=tree, stdout=subprocess.PIPE)
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree, stdin=find.stdout,
                       stdout=output, check=True)
        find.wait()


def build() -> Image:
    """The cached image, built first when its recipe is new."""
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    base = Path(os.environ.get("QUIESCED_VM_CACHE",
                               os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")))
    cache = base / f"quiesced-vm-{recipe}"
    image = Image(cache / "vmlinuz", cache / "initramfs", cache / "root.raw")
    if image.root.exists():
        return image
    began = time.monotonic()
    base.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=base, prefix="quiesced-build-"))
    os.chmod(work, 0o755)
    try:
        say("image: fetching Debian packages and unpacking them")
        root = _bootstrap(work)
        release = _prepare(root, work)
        say(f"image: making the disk ({time.monotonic() - began:.0f} s so far)")
        _initramfs(root, release, work / "initramfs.cpio", work)
        _run("mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", str(root), str(work / "root.raw"),
             "3G")
        cache.mkdir(exist_ok=True)
        os.replace(work / "vmlinuz", image.kernel)
        os.replace(work / "initramfs.cpio", image.initramfs)
        os.replace(work / "root.raw", image.root)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    say(f"image: built in {time.monotonic() - began:.0f} s, kept in {cache}")
    return image
