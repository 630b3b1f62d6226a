"""The demo's application: PostgreSQL on a filesystem of its own, under pgbench, with every commit counted.

Contract: `Database(vm)` knows one cluster, its data on the machine's first data disk. `acknowledged()` says exactly
how many commits each pgbench client has had acknowledged. pgbench tells that itself: with --debug each
statement is logged, unbuffered, when it is sent, and a client sends nothing before the last statement was answered;
so a COMMIT is acknowledged when the same client has sent something after it. The log is on tmpfs.
Every transaction adds 1 to an account and one row to a ledger, hence sum(accounts) = rows in any consistent copy.
Blocks while the guest works, with a deadline on each step.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

from vmlab.machine import Vm

CLIENTS = 4
DEVICE = "/dev/vdc"
DATA = "/var/lib/postgresql"
LOG = "/run/lab/pgbench.log"
SCRIPT = """\\set account random(1, 1000)
BEGIN;
UPDATE accounts SET balance = balance + 1 WHERE id = :account;
INSERT INTO ledger (client) VALUES (:client_id);
COMMIT;
"""
SCHEMA = """CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE ledger (entry bigserial PRIMARY KEY, client int NOT NULL);
INSERT INTO accounts SELECT id, 0 FROM generate_series(1, 1000) AS id;
"""
AS_POSTGRES = "setpriv --reuid=postgres --regid=postgres --init-groups"
# The server's own programs: Debian's wrappers of these names start a Perl first, slow under emulation.
BIN = "/usr/lib/postgresql/15/bin"
SERVER_LOG = "/run/lab/postgresql.log"
SERVER = (f"{AS_POSTGRES} {BIN}/postgres -D {DATA}/15/main -c config_file=/etc/postgresql/15/main/postgresql.conf "
          f">{SERVER_LOG} 2>&1")
PSQL = f"{AS_POSTGRES} {BIN}/psql -qXAt -v ON_ERROR_STOP=1 -h /run/postgresql -d postgres"
# Prints "CLIENT COMMITS-ACKNOWLEDGED COMMIT-UNDER-WAY" for each client.
COUNT = r"""awk '/client [0-9]+ sending / {
    match($0, /client [0-9]+ sending /)
    split(substr($0, RSTART, RLENGTH), word, " ")
    statement = substr($0, RSTART + RLENGTH)
    if (waiting[word[2]] == 1) done[word[2]]++
    waiting[word[2]] = statement ~ /^COMMIT/ ? 1 : 0
} END { for (client in waiting) print client, done[client] + 0, waiting[client] }' """ + LOG


class Database:
    """The cluster "main" that Debian's package made, moved to the data disk."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm

    def create(self) -> None:
        """The cluster onto the data disk's ext4, running, with the demo's tables."""
        self.vm.run(f"mount {DEVICE} /mnt && cp -a {DATA}/. /mnt/ && umount /mnt", timeout=60)
        self.start()
        self.vm.put("/run/lab/schema.sql", SCHEMA)
        self.vm.put("/run/lab/transaction.sql", SCRIPT)
        self.vm.run(f"{PSQL} -f /run/lab/schema.sql", timeout=60)

    def start(self) -> None:
        """Mounts the data and starts the server; returns when it accepts connections."""
        self.vm.run(f"mount {DEVICE} {DATA} && mkdir -p /run/lab && chmod 777 /run/lab", timeout=30)
        self.vm.spawn(f"exec {SERVER}")
        self.vm.wait_until(f"{PSQL} -c 'SELECT 1'", 60, "PostgreSQL")

    def recovery(self) -> list[str]:
        """What the server said about its own write-ahead log at the start."""
        out = self.vm.run(f"grep -E 'redo (starts|done|is not)' {SERVER_LOG} || true")
        return [line.split("LOG:")[-1].strip() for line in out.splitlines()]

    def load(self) -> None:
        """pgbench in the background, until `stop_load`."""
        self.vm.spawn(f"exec {AS_POSTGRES} {BIN}/pgbench -h /run/postgresql --debug -n -f /run/lab/transaction.sql -c {CLIENTS} -j 1 "
                      f"-T 3600 -d postgres >/dev/null 2>{LOG}")
        self.vm.wait_until(f"test $(grep -c COMMIT {LOG}) -gt {20 * CLIENTS}", 30, "pgbench to be under way")

    def stop_load(self) -> None:
        self.vm.run("pkill -TERM -x pgbench", check=False)

    def acknowledged(self) -> dict[int, tuple[int, bool]]:
        """For each client: commits acknowledged, and whether one more is under way."""
        counts = {}
        for line in self.vm.run(COUNT, timeout=60).splitlines():
            client, done, waiting = line.split()
            counts[int(client)] = (int(done), waiting == "1")
        return counts

    def query(self, sql: str) -> list[list[str]]:
        out = self.vm.run(f"{PSQL} -c '{sql}'", timeout=60)
        return [line.split("|") for line in out.splitlines()]

    def rows(self) -> dict[int, int]:
        """Rows of the ledger for each client."""
        found = self.query("SELECT client, count(*) FROM ledger GROUP BY client ORDER BY client")
        return {int(client): int(count) for client, count in found}

    def consistent(self) -> bool:
        """Whether every transaction is there in full or not at all."""
        return self.query("SELECT (SELECT sum(balance) FROM accounts) = (SELECT count(*) FROM ledger)") == [["t"]]


def total(counts: dict[int, tuple[int, bool]]) -> int:
    return sum(done for done, _ in counts.values())
