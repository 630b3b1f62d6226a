"""The ready-made hooks against invented clients: success, refusal, slowness, loss, nothing there."""

import os
import shutil
import socket
from pathlib import Path

import tap
from testbed import Case, wait_for

HOOKS = Path(os.environ.get("SRCDIR", ".")) / "hooks.d"
SAY = os.environ["QUIESCED_SAY"]

# Answers SELECT, ends with its input; a file "gone" is a connection that was closed.
MYSQL = """#!/bin/sh
echo "$*" >>ROOT/arguments
BEGIN
while read -r line; do
    echo "$line" >>ROOT/statements
    [ ! -e ROOT/gone ] || { echo "ERROR 2013 (HY000): Lost connection to server"; exit 1; }
    case $line in SELECT*) echo quiesced-held ;; esac
done
echo unlocked >>ROOT/statements
"""


class Hooks(Case):
    """One service per case, with a PATH of invented programs before the real ones."""

    def setUp(self) -> None:
        super().setUp()
        self.programs = self.bed.root / "bin"
        self.programs.mkdir()

    def program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text.replace("ROOT", str(self.bed.root)))
        (self.programs / name).chmod(0o755)

    def install(self, name: str) -> None:
        """The hook as it stands, but that it finds the invented programs first."""
        text = (HOOKS / name).read_text()
        line = f"PATH={self.programs}:$PATH\n"
        target = self.bed.root / "hooks" / name
        target.write_text(text.replace("\n\n", f"\n\n{line}\n", 1))
        target.chmod(0o755)
        shutil.copy(HOOKS / f"{name}.conf", f"{target}.conf")
        self.serve()

    def mysql(self, begin: str = "") -> None:
        self.program("mariadb", MYSQL.replace("BEGIN", begin))
        self.program("systemd-notify", f"#!/bin/sh\nexec {SAY} READY=1\n")
        self.install("mysql")

    def statements(self) -> list[str]:
        return (self.bed.root / "statements").read_text().splitlines()

    def test_mysql_holds_the_lock_of_one_connection(self) -> None:
        self.mysql()
        self.assertEqual(self.host.call("guest-fsfreeze-freeze"), 2)
        self.assertIn("FLUSH TABLES WITH READ LOCK;", self.statements())
        self.assertNotIn("unlocked", self.statements())
        wait_for(lambda: "DO 0;" in self.statements(), 5, "a sign of life", self.bed)
        self.assertEqual(self.host.call("guest-fsfreeze-thaw"), 2)
        self.assertEqual(self.statements()[-1], "unlocked")
        self.assertNotIn("password", (self.bed.root / "arguments").read_text())
        report = self.host.call("guest-quiesce-report")["operations"][0]
        self.assertEqual(report["level"], "application")

    def test_mysql_that_lets_nobody_in(self) -> None:
        self.mysql("echo \"ERROR 1045 (28000): Access denied for user 'root'@'localhost'\"; exit 1")
        self.assertEqual(self.refused("guest-fsfreeze-freeze"),
                         "quiesce failed: mysql: freeze: ERROR 1045 (28000): Access denied for "
                         "user 'root'@'localhost'")

    def test_mysql_that_goes_away(self) -> None:
        self.mysql()
        self.host.call("guest-fsfreeze-freeze")
        (self.bed.root / "gone").touch()
        wait_for(lambda: self.host.call("guest-quiesce-status")["state"] == "lost", 5, "the loss",
                 self.bed)
        self.assertIn("mysql: lock lost: ERROR 2013 (HY000): Lost connection to server",
                      self.refused("guest-fsfreeze-thaw"))

    def test_mysql_that_a_long_query_holds_up(self) -> None:
        self.mysql("sleep 20")
        (self.bed.root / "hooks/mysql.conf").write_text("[Hook]\nType=session\nTimeout=1\n")
        self.assertRegex(self.refused("guest-fsfreeze-freeze"),
                         r"^quiesce failed: mysql: freeze: timed out after [1-9]\.\d s "
                         "without READY=1$")
        self.assertFalse(self.bed.anything_frozen())

    def test_mysql_let_go_by_the_death_of_the_service(self) -> None:
        self.mysql()
        self.host.call("guest-fsfreeze-freeze")
        self.bed.kill()
        wait_for(lambda: self.statements()[-1] == "unlocked", 5, "the end of the client", self.bed)

    def postgresql(self, psql: str) -> None:
        """A server's socket that is found as the hook finds one, and the owner's programs."""
        self.sockets = self.bed.root / "pg"
        self.sockets.mkdir()
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind(str(self.sockets / ".s.PGSQL.5432"))
        server.listen()
        self.program("psql", psql)
        self.program("pg_isready", "#!/bin/sh\nexit ${READY:-0}\n")
        self.program("find", f"#!/bin/sh\ncase $1 in {self.sockets}/*) echo $1 ;; esac\n")
        self.program("id", '#!/bin/sh\ncase $1 in -g) echo 0 ;; *) echo postgres ;; esac\n')
        self.install("postgresql")

    def test_postgresql_gets_a_checkpoint(self) -> None:
        self.postgresql('#!/bin/sh\necho "$*" >>ROOT/psql\n')
        self.assertEqual(self.host.call("guest-fsfreeze-freeze"), 2)
        self.assertEqual(self.host.call("guest-fsfreeze-thaw"), 2)
        self.assertRegex((self.bed.root / "psql").read_text(), "-p 5432 .*-c CHECKPOINT")

    def test_postgresql_that_refuses(self) -> None:
        self.postgresql('#!/bin/sh\necho "psql: error: FATAL: role does not exist"; exit 2\n')
        text = self.refused("guest-fsfreeze-freeze")
        self.assertRegex(text, "^quiesce failed: postgresql: prepare: cluster on port 5432 .*"
                               "FATAL: role does not exist$")

    def test_postgresql_that_is_slow(self) -> None:
        self.postgresql("#!/bin/sh\nexec sleep 20\n")
        (self.bed.root / "hooks/postgresql.conf").write_text(
            "[Hook]\nVerbs=prepare\nTimeout=0.7\n")
        self.assertRegex(self.refused("guest-fsfreeze-freeze"),
                         r"^quiesce failed: postgresql: prepare: timed out after [0-9]\.[0-9] s$")

    def test_postgresql_that_is_not_there(self) -> None:
        if ".s.PGSQL." in Path("/proc/net/unix").read_text():
            self.skipTest("a PostgreSQL server runs here")
        self.install("postgresql")
        self.assertEqual(self.host.call("guest-fsfreeze-freeze"), 2)
        self.assertEqual(self.host.call("guest-fsfreeze-thaw"), 2)


if __name__ == "__main__":
    tap.main()
