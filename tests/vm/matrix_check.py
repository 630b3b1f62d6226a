"""The six guarantees of a cell, verified from outside the agent.

1. Every filesystem can be written to again within its bound.
2. Every participant was released: exactly once where the service survived, else at least once.
3. The host's next thaw is told of a freeze that was lost, once; and nothing of one that was held.
4. The next freeze works.
5. The report tells what happened.
6. The kernel's settings are what they were.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

from context import check, check_settings
from matrix_cell import ENTER, BoundMissed, Cell, leave, measure, take_answer
from matrix_rig import ALL, DIRECTORIES, HookCall, error_matches

INFLIGHT_BOUND_MS = 100  # from a FIFREEZE's completing to its thaw
WRITABLE_MS = 15000
HELD_MS = 6000  # until a write that waits is known to be held up
WANTED_CALLS = ["prepare", "freeze", "thaw"]


def outcome(cell: Cell) -> str:
    """What became of the freeze: held, lost, failed, nothing (there was none), unknown."""
    if cell.want.thaw in ("held", "lost") and cell.want.reply != "any":
        return cell.want.thaw
    if cell.state == "thawing" and cell.answer[0] == "unheard":
        return "held"
    if cell.answer[0] == "error":
        return "failed"
    if cell.answer[0] == "ok":
        return "held"
    return "unknown" if cell.answer[0] else "nothing"


def check_answer(cell: Cell) -> None:
    kind, text = cell.answer
    want = cell.want
    if want.reply in ("ok", "error"):
        check(kind == want.reply, f"the request in flight was answered {kind}: {text}")
    if kind == "error" and want.text:
        check(error_matches(text, want.text), f"the error does not say '{want.text}': {text}")


def check_bounds(cell: Cell) -> None:
    if cell.want.bound_ms:
        cell.within(cell.measured["thawed"], cell.want.bound_ms, "from the fault to all thawed")
    if cell.want.stall_ms:
        cell.within(cell.measured["longest stall"], cell.want.stall_ms, "the longest stall")
    if cell.spliced and cell.answer[0] != "ok" and outcome(cell) != "held":
        # From its writer's leaving: the FIFREEZE then completes by itself.
        took = cell.rig.thawed_after_ms(cell.let_go, str(cell.inflight), 15000)
        cell.measured["in flight"] = took
        cell.within(took, INFLIGHT_BOUND_MS,
                    f"{DIRECTORIES[cell.inflight]} from its writer's leaving")


def check_held(cell: Cell) -> None:
    """Frozen now, and without a break since the host knew of it."""
    cell.rig.watch("held", ALL, cell.frozen_since, HELD_MS)


def check_thaw(cell: Cell) -> None:
    """The verdict, exactly once."""
    rig, want = cell.rig, cell.want
    kind = want.thaw
    if want.reply == "any":
        kind = "held" if cell.answer[0] == "ok" else "nothing"
    if kind == "held":
        check_held(cell)
    if kind == "any":
        rig.host.request("guest-quiesce-thaw")
        rig.host.reply(timeout=30)
    else:
        told = rig.thaw(verdict=kind == "lost")
        if kind == "lost":
            check(error_matches(told, want.reason), f"'{want.reason}' is not in: {told}")
        elif kind == "held":
            check(told == str(cell.total or rig.filesystems), f"thawed {told} of {cell.total}")
        else:
            check(told == "0", f"nothing was frozen, the thaw answered {told}")
    check(rig.thaw(verdict=False) == "0", "the thaw after the thaw did something")


def calls_by_participant(calls: list[HookCall], operation: str) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {}
    for call in calls:
        if call.operation == operation:
            result.setdefault(call.name, []).append(call.verb)
    return result


def check_released(cell: Cell, calls: list[HookCall]) -> None:
    for operation in {call.operation for call in calls}:
        for name, verbs in calls_by_participant(calls, operation).items():
            releases = sum(verb in ("thaw", "abort") for verb in verbs)
            if cell.want.once:
                check(releases == 1, f"{name} was released {releases} times: {verbs}")
            else:
                check(releases >= 1, f"{name} was not released: {verbs}")
            check(verbs[-1] in ("thaw", "abort"), f"{name} was called after its release: {verbs}")


def check_filesystems(report: dict, cell: Cell) -> None:
    """All of them are in it, frozen where the freeze was once complete."""
    results = [item["result"] for item in report["filesystems"]]
    frozen = results.count("frozen")
    check(frozen <= len(results) and frozen >= cell.total,
          f"{cell.total} were frozen, the report has {results}")


def check_report(cell: Cell, operation: str) -> None:
    """Also of a freeze that a restarted service found in the ledger."""
    if cell.state == "thawed":
        return  # of a quiesce before the cell
    report = cell.rig.report(operation)
    what = outcome(cell)
    if report is None:
        # A service that was stopped had ended it, told whoever asked, and took its history along.
        check(cell.fault.stops and what not in ("held", "lost"), f"no report of a {what} freeze")
        return
    result, ended = report["result"], report.get("ended-by")
    text = f"{what}, but the report says {result}, ended by {ended}, level {report['level']}"
    names = sorted(item["name"] for item in report["participants"])
    check({"app", "sick"} <= set(names), f"the report's participants: {names}")
    if what == "held":
        check(result == "ok" and ended == "host-thaw" and report["level"] == "application", text)
    elif what == "lost":
        check(result == "lost" and report["level"] == "crash" and report["verdict-delivered"], text)
        check(not cell.want.ended or ended in cell.want.ended, text)
    elif what == "failed":
        check(result in ("failed", "cancelled") and ended == "rollback", text)
        check(bool(cell.fault.enter) or report["error"] == cell.answer[1],
              f"{report['error']} / {cell.answer[1]}")
    elif cell.fault.stops and cell.state == "thawing":  # answered before the service ended
        check(result == "ok" and ended == "host-thaw", text)
    else:
        check(result != "ok" and ended not in (None, "host-thaw"), text)
    if what in ("held", "lost"):
        check_filesystems(report, cell)


def check_next_freeze(cell: Cell) -> None:
    rig = cell.rig
    rig.forget_calls()
    count = rig.host.call("guest-fsfreeze-freeze")
    check(count == rig.filesystems, f"the next freeze held {count} of {rig.filesystems}")
    check(rig.thaw(verdict=False) == str(count), "the next thaw")
    rig.wait_settled()
    calls = rig.hook_calls()
    check(bool(calls), "the next freeze called nobody")
    for name, verbs in calls_by_participant(calls, calls[0].operation).items():
        check(verbs == WANTED_CALLS, f"{name} at the next freeze: {verbs}")


def run_steps(cell: Cell) -> None:
    fault = cell.fault
    steps = {"leave": leave, "measure": measure, "reply": take_answer,
             "thaw": check_thaw, "heal": fault.heal}
    if fault.arrange:
        fault.arrange(cell)
    (fault.enter or ENTER[cell.state])(cell)
    cell.since = cell.frozen_since = cell.rig.now()
    fault.inject(cell)
    if cell.want.ask:
        cell.ask_freeze()
    for name in fault.order:
        step = steps[name]
        if step:
            step(cell)
        if name == "reply":
            check_answer(cell)


def check_in_time(cell: Cell) -> None:
    if cell.missed:
        raise BoundMissed("; ".join(cell.missed))


def run_cell(cell: Cell) -> None:
    cell.rig.fresh()
    if cell.fault.whole:
        cell.fault.whole(cell)
        check_in_time(cell)
        return
    run_steps(cell)
    check_bounds(cell)
    if "thaw" not in cell.fault.order:
        check_thaw(cell)
    cell.rig.watch("writable", ALL, WRITABLE_MS)
    cell.rig.wait_settled()
    calls = cell.rig.hook_calls()
    check_released(cell, calls)
    if calls:
        check_report(cell, calls[-1].operation)
    check_settings(cell.rig.vm)
    check_next_freeze(cell)
    check_in_time(cell)
