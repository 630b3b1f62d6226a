"""What works with the service tightened by docs/examples/quiesced-tight.conf: reach, deaths, hooks."""

from pathlib import Path

import test_faults
import test_reach
import test_warnings
from context import FILESYSTEMS, check

GROUP = "confined"
TIGHT = Path(__file__).resolve().parent.parent.parent / "docs/examples/quiesced-tight.conf"
BLOCKED = "guest-exec,guest-file-open,guest-set-user-password,guest-ssh-add-authorized-keys"


class Confined(test_reach.Reach):
    def begin(self) -> None:
        self.vm.put("/etc/systemd/system/quiesced.service.d/tight.conf",
                    TIGHT.read_text(encoding="utf-8"))
        self.vm.put("/etc/quiesced/quiesced.conf.d/block.conf", f"[rpc]\nblock={BLOCKED}\n")
        self.vm.run("systemctl daemon-reload; systemctl restart quiesced.service", timeout=60)
        super().begin()


def machine(tree) -> Confined:
    return Confined(tree, name=GROUP, more_disks=(200, 200))


def hooks_run_as_somebody_else(m: Confined) -> None:
    m.no_hooks()
    m.vm.run("install -d -o postgres /run/hooks")
    m.hook("10-app", 'id -un >/run/hooks/user; grep -E "NoNewPrivs|Seccomp:" /proc/self/status '
                     ">/run/hooks/status", "User=postgres")
    m.vm.run("touch /run/hook.log; chmod 666 /run/hook.log")
    check(m.host.call("guest-fsfreeze-freeze") == FILESYSTEMS)
    check(m.host.call("guest-fsfreeze-thaw") == FILESYSTEMS)
    check(m.hook_log() == ["10-app prepare", "10-app freeze", "10-app thaw"], str(m.hook_log()))
    check(m.vm.run("cat /run/hooks/user").strip() == "postgres")
    status = m.vm.run("cat /run/hooks/status").split()
    check(status == ["NoNewPrivs:", "1", "Seccomp:", "2"], f"it is not tightened: {status}")
    m.no_hooks()


CASES = [hooks_run_as_somebody_else, test_faults.keeper_killed_while_frozen,
         test_reach.namespaces_without_a_way_in_are_entered, test_reach.mounted_over_is_reached,
         test_warnings.stuck_behind_a_splice]
