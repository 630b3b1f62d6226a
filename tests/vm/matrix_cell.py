"""A cell of the fault matrix: what it is made of, and the order in which it goes.

    arrange, enter the state and hold it, inject, measure, then heal, leave the state and take the
    answer to the request in flight (in the fault's order), then the six guarantees.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from context import check
from matrix_rig import ALL, DIRECTORIES, HOLD, INFLIGHT, TOO_LATE, TOOL, Rig, error_matches
from vmlab.host import AgentError

STATES = ("thawed", "preparing", "freezing", "frozen", "thawing", "aborting", "lost")
LOST_LIMITS_MS = (700, 4000, 12000)  # the later ones on a busy machine
LIMIT_LATE_MS = 50
# What a bound may be missed by under emulation with both of the machine's processors busy.
SLACK, SLACK_MAX_MS, SLACK_MS = 2, 1000, 100
SPLICED = "spliced"
SPLICE = "275"  # the number of the system call


class BoundMissed(AssertionError):
    """Everything went as it must, but too slowly."""


@dataclass(frozen=True)
class Want:
    """What a fault must lead to."""

    reply: str = ""  # of the request in flight: ok, error, none (its service died), unheard, any
    text: str = ""  # a pattern in the error
    thaw: str = "nothing"  # the next thaw: held, lost (the verdict), nothing (0), any
    reason: str = ""  # a pattern in the verdict
    ended: tuple[str, ...] = ()  # of a lost freeze: what its report may say of the end
    bound_ms: int = 0  # from the fault to all thawed; 0: nothing is frozen, or it stays so
    stall_ms: int = 0  # the longest that a write may have been held up by it
    once: bool = True  # participants are released exactly once; else at least once
    ask: bool = False  # the request comes after the fault


# What happens when nothing does: how each state goes on once it is let go.
STEADY = {
    "thawed": Want(),
    "preparing": Want(reply="ok", thaw="held"),
    "freezing": Want(reply="ok", thaw="held"),
    "frozen": Want(thaw="held"),
    "thawing": Want(reply="ok"),
    "aborting": Want(reply="error", text="sick: freeze"),
    "lost": Want(thaw="lost", reason="the frozen limit passed", ended=("limit",)),
}


def wants(changes: dict[str, dict], base: dict[str, Want] | None = None) -> dict[str, Want]:
    """STEADY with changes; "*" is for all states."""
    result = {}
    for state, want in (base or STEADY).items():
        result[state] = replace(want, **{**changes.get("*", {}), **changes.get(state, {})})
    return result


ORDER = ("measure", "heal", "leave", "reply")  # and "thaw", which else comes last


@dataclass
class Fault:
    """A row of the matrix."""

    name: str
    title: str
    inject: "Step"
    want: dict[str, Want]
    heal: "Step | None" = None
    arrange: "Step | None" = None  # before the state is entered
    order: tuple[str, ...] = ORDER
    freezing: str = "inflight"  # how FREEZING is held: a FIFREEZE in the kernel, or a hook
    not_applicable: dict[str, str] = field(default_factory=dict)
    begin: "Callable[[Rig], None] | None" = None  # of the row
    end: "Callable[[Rig], None] | None" = None
    enter: "Step | None" = None  # instead of the state's own
    whole: "Step | None" = None  # instead of everything
    stops: bool = False  # the service ends in order, and with it the history of what it told


@dataclass
class Cell:
    """One state with one fault, under way."""

    rig: Rig
    state: str
    fault: Fault
    want: Want
    since: int = 0  # the guest's time of the fault, microseconds
    frozen_since: int = 0  # when the host knew that all is frozen
    inflight: int = INFLIGHT
    spliced: bool = False  # a FIFREEZE is held in the kernel
    runner: str = ""  # what starts the program that holds it
    splice_holds: bool = False  # and with it the state
    hold: str = HOLD  # what the hook that holds the state does
    total: int = 0  # filesystems at the time of the request
    let_go: int = 0  # when it no longer was
    limit_ms: int = 60000
    answer: tuple[str, str] = ("", "")
    measured: dict[str, float] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def within(self, measured_ms: float, bound_ms: float, what: str) -> None:
        """Notes a bound that was missed; the cell goes on, and fails at its end."""
        allowed = bound_ms + min(SLACK * bound_ms, SLACK_MAX_MS) + SLACK_MS
        if measured_ms > allowed:
            self.missed.append(f"{what}: {measured_ms:.0f} ms, at most {bound_ms} ms wanted")

    def others(self) -> str:
        """The filesystems that are not stuck in the kernel."""
        return ALL.replace(str(self.inflight), "") if self.spliced else ALL

    def ask_freeze(self) -> None:
        self.total = self.rig.filesystems
        self.rig.host.request("guest-quiesce-freeze", {"frozen-limit-ms": self.limit_ms})

    def splice(self) -> None:
        """From now on FIFREEZE of the filesystem in flight stays in the kernel."""
        self.rig.vm.spawn(f"exec {self.runner} {TOOL} splice "
                          f"{DIRECTORIES[self.inflight]}/{SPLICED}")
        self.rig.vm.run([TOOL, "waitcall", "labtool", SPLICE, "20000"])
        self.spliced = True

    def unsplice(self) -> None:
        if self.splice_holds and not self.let_go:
            self.let_go = self.rig.strike("KILL", "labtool")


Step = Callable[[Cell], None]


def nothing(cell: Cell) -> None:
    """No fault."""


# --- states ---------------------------------------------------------------------------------------


def hold_in(cell: Cell, verb: str) -> None:
    cell.rig.snippet(verb, cell.hold)


def enter_preparing(cell: Cell) -> None:
    hold_in(cell, "prepare")
    cell.ask_freeze()
    cell.rig.wait_hook("prepare")


def enter_freezing(cell: Cell) -> None:
    if cell.fault.freezing == "hook":
        hold_in(cell, "freeze")
        cell.ask_freeze()
        cell.rig.wait_hook("freeze")
        return
    cell.splice()
    cell.splice_holds = True
    cell.ask_freeze()
    # Writers of the one in flight wait as well: it is past the point where new ones get in.
    cell.rig.watch("frozen", ALL.rstrip("3") if cell.inflight != 3 else ALL, 20000)


def freeze(cell: Cell) -> None:
    cell.ask_freeze()
    reply = cell.rig.host.reply(timeout=40)
    check(reply["count"] == cell.total, str(reply))


def enter_thawing(cell: Cell) -> None:
    hold_in(cell, "thaw")
    freeze(cell)
    cell.rig.host.request("guest-fsfreeze-thaw")
    cell.rig.wait_hook("thaw")


def enter_aborting(cell: Cell) -> None:
    hold_in(cell, "abort")
    cell.rig.snippet("freeze", "exit 7")
    cell.ask_freeze()
    cell.rig.wait_hook("abort")


def enter_lost(cell: Cell) -> None:
    for cell.limit_ms in LOST_LIMITS_MS:
        try:
            freeze(cell)
            break
        except AgentError as error:  # a slow moment: the limit passed before all was frozen
            check(error_matches(error.desc, TOO_LATE), error.desc)
            cell.rig.forget_calls()
    else:
        check(False, f"no freeze within {cell.limit_ms} ms")
    since = cell.rig.now()
    cell.rig.wait_state("lost")
    cell.rig.wait_settled()
    if cell.fault.name == "none":
        measure_limit(cell, since)


ENTER: dict[str, Step] = {
    "thawed": nothing, "preparing": enter_preparing, "freezing": enter_freezing, "frozen": freeze,
    "thawing": enter_thawing, "aborting": enter_aborting, "lost": enter_lost,
}


def leave(cell: Cell) -> None:
    """Nothing holds the state any more."""
    cell.rig.release_hooks()
    cell.unsplice()


# --- the order ------------------------------------------------------------------------------------


def measure_limit(cell: Cell, since: int) -> None:
    """By how much the frozen limit was missed; `since` was before it."""
    rig = cell.rig
    ends = [end for _, end in rig.watch("thawed", ALL, since, 10000)]
    report = rig.report(rig.hook_calls()[-1].operation)
    assert report
    # The limit counts from the request to the keeper, right before the first FIFREEZE.
    first = min(item["start-ms"] for item in report["filesystems"] if item["result"] == "frozen")
    due = rig.wall_to_clock(report["started-unix-ms"] + first) + cell.limit_ms * 1000
    cell.measured["past the limit"] = max(0.0, (max(ends) - due) / 1000)
    cell.within(cell.measured["past the limit"], LIMIT_LATE_MS, "from the deadline to all thawed")


def measure(cell: Cell) -> None:
    if cell.want.bound_ms:
        patience = 3 * cell.want.bound_ms + 5000
        cell.measured["thawed"] = cell.rig.thawed_after_ms(cell.since, cell.others(), patience)
    if cell.want.stall_ms:
        stalls = cell.rig.watch("longest", cell.others(), cell.since)
        cell.measured["longest stall"] = max((end - begin) / 1000 for begin, end in stalls)


def take_answer(cell: Cell) -> None:
    """The answer to the request in flight, if it has one."""
    rig = cell.rig
    if cell.want.reply == "none":
        rig.resync(rig.host, 20)
        rig.resync(rig.second, 20)
        rig.wait_ready()
        cell.answer = ("none", "")
        return
    if cell.want.reply == "unheard":
        rig.wait_state("frozen" if cell.want.thaw == "held" else "thawed")
        cell.frozen_since = rig.now()
        cell.answer = ("unheard", "")
        return
    if not cell.want.reply:
        return
    try:
        cell.answer = ("ok", str(rig.host.reply(timeout=30)))
        cell.frozen_since = rig.now()
    except AgentError as error:
        cell.answer = ("error", error.desc)


__all__ = ["ENTER", "STATES", "STEADY", "BoundMissed", "Cell", "Fault", "Want", "freeze", "leave", "measure",
           "measure_limit", "nothing", "take_answer", "wants"]
