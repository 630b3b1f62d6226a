/*
 * thaw: the service, its keeper, PID 1 and the kernel, as processes that may die or hang anywhere.
 *
 * What is claimed: what quiesced froze is eventually thawed, who was stopped is eventually
 * released, and what somebody else froze is never thawed. README.md says how to run it, which file
 * each part stands for and what is left out. Every atomic block is one step of a program that
 * nothing can interrupt; between two of them a signal may come.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#define N 2
#ifndef FAULTS
#define FAULTS 2 /* deaths and hangs in all; for ever more of them nothing can be promised */
#endif

mtype = { INTENDED, INFLIGHT, FROZEN, THAWED, FOREIGN, FAILED };    /* the ledger */
mtype = { NOBODY, OURS, OTHERS };                                   /* who froze it, really */
mtype = { W_IDLE, W_MARKED, W_CALL, W_RETURNED, W_HELD, W_OVER };   /* a keeper's worker */
mtype = { P_NONE, P_READY, P_FREEZE, P_HELD, P_THAW };              /* the keeper's operation */
mtype = { S_START, S_IDLE, S_ARMING, S_FREEZING, S_HELD, S_THAWING, S_RELEASE, S_RESCUE,
          S_RECOVER };                                              /* the service */
mtype = { ARM, ARMED, FREEZE, FREEZE_DONE, THAW, THAW_DONE, DISARM,
          NOTHING }; /* agent/keeper/message.h */

/* --- what outlives the processes --- */
mtype ledger[N] = FAILED;
bool laid_out;         /* an operation is laid out and not ended */
bool held;           /* a participant was called and not released */
byte armed_by;       /* the ledger's keeper: 0 none, 1 the present one, 2 one that is gone */
mtype owner[N] = NOBODY;
bool inflight[N];    /* FIFREEZE is in the kernel; it stays there when its process is killed */
bool depends;        /* the FIFREEZE of 1 cannot end while 0 is frozen (a loop, a scanner's log) */

/* --- the keeper --- */
bool k_alive = true, k_hung;
mtype phase = P_NONE;
mtype w[N] = W_IDLE;
mtype got = NOTHING; /* read, and not acted upon yet */
bool k_error, k_ending, k_told;
bool eof;            /* the service it served is gone, and it has not noticed */
bool limit;          /* the frozen limit passed */

/* --- the service --- */
bool s_alive = true, s_hung;
mtype s = S_START;
bool linked;         /* connected, and greeted */
bool lost;           /* the keeper is gone, and the service has not noticed */
bool certain;        /* this round of thaws began when no keeper could freeze any more */
byte at;             /* of the round: 0 its begin, else the filesystem before this number */
bool host_thaws;
byte faults;

chan s2k = [4] of { mtype };
chan k2s = [4] of { mtype, bool };

#define K_RUNS      (k_alive && !k_hung)
#define S_RUNS      (s_alive && !s_hung)
#define K_GONE      (!k_alive && !inflight[0] && !inflight[1]) /* the last thread too */
#define LEFT(i)     (ledger[i] == FROZEN || ledger[i] == INFLIGHT)
#define AT_WORK(i)  (w[i] != W_IDLE && w[i] != W_OVER)
#define FREEZING(i) (w[i] == W_MARKED || w[i] == W_CALL || w[i] == W_RETURNED || \
                     (w[i] == W_IDLE && !k_error))
#define PENDING     (AT_WORK(0) || AT_WORK(1))
#define THREADLESS  (armed_by != 1 || K_GONE)

/* PID 1 waits for the root's thaw (filesystem 0) when a timer wants to write a stamp there. */
#ifdef PID1_BLOCKS
#define PID1_RUNS (owner[0] != OURS)
#else
#define PID1_RUNS true
#endif

#ifdef NO_LIMIT
#define LIMIT_PASSES false
#else
#define LIMIT_PASSES (phase == P_FREEZE || phase == P_HELD)
#endif

/* Death closes the sockets. What the keeper has not read of a dead service is not obeyed; what a
 * dead keeper said last is still read. */
inline kill_service()
{
    s_alive = false; s_hung = false; s = S_START; certain = false; at = 0; host_thaws = false;
    eof = eof || linked; linked = false; lost = false;
    do :: len(s2k) > 0 -> s2k?_ :: else -> break od;
    do :: len(k2s) > 0 -> k2s?_,_ :: else -> break od
}

inline kill_keeper()
{
    k_alive = false; k_hung = false; phase = P_NONE; limit = false; k_error = false;
    w[0] = W_IDLE; w[1] = W_IDLE; got = NOTHING;
    k_ending = false; k_told = false; eof = false;
    lost = lost || linked; linked = false;
    do :: len(s2k) > 0 -> s2k?_ :: else -> break od
}

/* FITHAW. The kernel refuses it while the FIFREEZE is under way, and does not ask who froze. */
inline fithaw(i)
{
    assert(owner[i] != OTHERS);
    if
    :: owner[i] == OURS -> owner[i] = NOBODY
    :: else
    fi
}

inline tell(message, error)
{
    if
    :: linked && len(k2s) < 4 -> k2s!message,error
    :: else
    fi
}

inline ask(message)
{
    if
    :: linked && len(s2k) < 4 -> s2k!message
    :: else
    fi
}

/* --- the kernel: a FIFREEZE that was accepted ends some time ------------------------------------ */

proctype Kernel(byte i)
{
    do
    :: atomic {
        inflight[i] && (i == 0 || !depends || owner[0] != OURS) ->
        inflight[i] = false;
        owner[i] = OURS;
        if
        :: w[i] == W_CALL -> w[i] = W_RETURNED
        :: else
        fi }
    od
}

/* --- the keeper: agent/keeper/ (worker.c and hold.c; loop.c, serve.c and operation.c) ------------ */

inline obey()
{
    if
    :: got == ARM && phase == P_NONE && !eof ->
        phase = P_READY; armed_by = 1; k_error = false; k_told = false; limit = false;
        w[0] = W_IDLE; w[1] = W_IDLE;
        tell(ARMED, false)
    :: got == FREEZE && phase == P_READY -> phase = P_FREEZE
    :: got == THAW && phase != P_NONE -> phase = P_THAW; k_told = false
    :: got == THAW && phase == P_NONE -> tell(THAW_DONE, false)
    :: got == DISARM && phase != P_NONE -> phase = P_THAW; k_told = true; k_ending = true
    :: else
    fi;
    got = NOTHING
}

/* A worker: take_freeze(), freeze_done(), take_thaw(). First the ledger, then the call. */
#define MAY_MARK(i)   (phase == P_FREEZE && w[i] == W_IDLE && !k_error)
#define MAY_THAW(i)   (phase == P_THAW && w[i] == W_HELD)

inline mark(i)
{
    ledger[i] = INFLIGHT; w[i] = W_MARKED;
#ifndef WINDOW
    if
    :: owner[i] == OTHERS -> busy(i)
    :: else
    fi
#endif
}

inline busy(i)
{
    ledger[i] = FOREIGN; w[i] = W_OVER; k_error = true
}

inline call(i)
{
    if
    :: owner[i] == NOBODY && !inflight[i] -> inflight[i] = true; w[i] = W_CALL
    :: else -> busy(i) /* EBUSY */
    fi
}

/* What completes in P_THAW passes W_HELD and is thawed by the same worker. */
inline thaw(i)
{
    fithaw(i); ledger[i] = THAWED; w[i] = W_OVER
}

proctype Keeper()
{
    do
    :: atomic { K_RUNS && MAY_MARK(0) -> mark(0) }
    :: atomic { K_RUNS && MAY_MARK(1) -> mark(1) }
    :: atomic { K_RUNS && w[0] == W_MARKED -> call(0) }
    :: atomic { K_RUNS && w[1] == W_MARKED -> call(1) }
    :: atomic { K_RUNS && w[0] == W_RETURNED -> ledger[0] = FROZEN; w[0] = W_HELD }
    :: atomic { K_RUNS && w[1] == W_RETURNED -> ledger[1] = FROZEN; w[1] = W_HELD }
    :: atomic { K_RUNS && MAY_THAW(0) -> thaw(0) }
    :: atomic { K_RUNS && MAY_THAW(1) -> thaw(1) }
    /* What was read is acted upon, even if the service dies in between. */
    :: atomic { K_RUNS && got == NOTHING && !eof && !k_ending && nempty(s2k) -> s2k?got }
    :: atomic { K_RUNS && got != NOTHING -> obey() }
    :: atomic { K_RUNS && got == NOTHING && phase == P_FREEZE && !FREEZING(0) && !FREEZING(1) ->
        phase = P_HELD; tell(FREEZE_DONE, k_error) }
    :: atomic { K_RUNS && limit && (phase == P_FREEZE || phase == P_HELD) ->
        phase = P_THAW; k_told = false }
    /* Ten of its ticks without a heartbeat. */
    :: atomic { K_RUNS && linked && s_hung && (phase == P_FREEZE || phase == P_HELD) ->
        phase = P_THAW; k_told = false }
    :: atomic { K_RUNS && eof && got == NOTHING ->
        eof = false;
        if
        :: phase != P_NONE -> phase = P_THAW; k_told = true; k_ending = true
        :: else
        fi }
    :: atomic { K_RUNS && phase == P_THAW && !k_told && !PENDING ->
        k_told = true; tell(THAW_DONE, false) }
    :: atomic { K_RUNS && phase == P_THAW && k_ending && !PENDING ->
        phase = P_NONE; k_ending = false; limit = false; k_error = false; k_told = false;
        w[0] = W_IDLE; w[1] = W_IDLE }
    od
}

/* --- the service: agent/quiesce/ ---------------------------------------------------------------- */

/* unfreeze.c: one filesystem of a round. */
inline thaw_by_ledger(i)
{
    if
#ifdef THAW_ALL
    :: true ->
#else
    :: LEFT(i) ->
#endif
        if
        :: owner[i] == NOBODY && ledger[i] == INFLIGHT -> /* EINVAL: perhaps it is yet to come */
            if
            :: certain -> ledger[i] = FAILED
            :: else
            fi
        :: else -> fithaw(i); ledger[i] = THAWED
        fi
    :: else
    fi
}

#ifdef NO_SETTLED
#define SETTLED true
#else
#define SETTLED (THREADLESS || (s == S_RECOVER && linked && !PENDING))
#endif

/* A message of the keeper; one that does not belong to the state is dropped. */
inline hear()
{
    if
    :: k2s?ARMED,_ ->
        if
        :: s == S_ARMING -> held = true; s = S_FREEZING; ask(FREEZE)
        :: else
        fi
    :: k2s?FREEZE_DONE,true ->
        if
        :: s == S_FREEZING -> s = S_THAWING; ask(THAW)
        :: else
        fi
    :: k2s?FREEZE_DONE,false ->
        if
        :: s == S_FREEZING -> s = S_HELD; host_thaws = true
        :: s == S_FREEZING -> s = S_HELD /* and the host vanishes */
        :: else
        fi
    :: k2s?THAW_DONE,_ ->
        if
        :: s == S_FREEZING || s == S_HELD || s == S_THAWING ->
            s = S_RELEASE; host_thaws = false; ask(DISARM)
        :: else
        fi
    fi
}

proctype Service()
{
    do
    :: atomic { S_RUNS && s == S_START ->
        if
#ifdef NO_RECOVERY
        :: true -> laid_out = false; s = S_IDLE
#else
        :: laid_out -> s = S_RECOVER
        :: !laid_out -> s = S_IDLE
#endif
        fi }
    :: atomic { S_RUNS && s == S_IDLE && linked -> /* a freeze: the ledger first */
        ledger[0] = INTENDED; ledger[1] = INTENDED; laid_out = true;
        s = S_ARMING; ask(ARM) }
    :: atomic { S_RUNS && nempty(k2s) -> hear() }
    /* Stuck for too long, or given up by the host. */
    :: atomic { S_RUNS && s == S_FREEZING -> s = S_THAWING; ask(THAW) }
    :: atomic { S_RUNS && s == S_HELD && (host_thaws || limit) ->
        host_thaws = false; s = S_THAWING; ask(THAW) }
    :: atomic { S_RUNS && lost && empty(k2s) ->
        lost = false;
        if
        :: s == S_IDLE || s == S_RELEASE || s == S_RECOVER || s == S_RESCUE
        :: else -> s = S_RESCUE; host_thaws = false
        fi }
    :: atomic { S_RUNS && (s == S_RESCUE || s == S_RECOVER) && at == 0 && !lost && empty(k2s) ->
        certain = SETTLED;
        if
        :: certain && !LEFT(0) && !LEFT(1) -> s = S_RELEASE
        :: else -> at = 1
        fi }
    :: atomic { S_RUNS && at == 1 -> thaw_by_ledger(0); at = 2 }
    :: atomic { S_RUNS && at == 2 -> thaw_by_ledger(1); at = 0; certain = false }
    :: atomic { S_RUNS && s == S_RELEASE ->
        held = false; laid_out = false; s = S_IDLE; certain = false;
        ledger[0] = FAILED; ledger[1] = FAILED; armed_by = 0 }
    od
}

/* --- clocks: each may fire late, none never ----------------------------------------------------- */

proctype Clocks()
{
    do
    /* Connected again and greeted: a main loop attends to every source, also amid its rounds. */
    :: atomic { S_RUNS && !linked && !lost && K_RUNS && !eof && s != S_START -> linked = true }
    :: atomic { LIMIT_PASSES && !limit -> limit = true }
    /* Heartbeats that nobody answers: agent/sys/keeper.c. */
    :: atomic { S_RUNS && linked && k_hung && (s == S_ARMING || s == S_FREEZING || s == S_HELD ||
                                               s == S_THAWING) -> kill_keeper() }
    /* RECOVERY_KEEPER_US of recovery.c; connected already: keeper_is_idle(). */
    :: atomic { S_RUNS && s == S_RECOVER && k_hung && !THREADLESS -> kill_keeper() }
    /* FS_THAW_WAIT_US: participants are not kept waiting for a filesystem that hangs. */
    :: atomic { S_RUNS && held && (s == S_THAWING || s == S_RESCUE || s == S_RECOVER) ->
        held = false }
    od
}

/* --- PID 1: systemd/ ---------------------------------------------------------------------------- */

proctype Manager()
{
    do
#ifndef NO_RESTART
    :: atomic { PID1_RUNS && !s_alive -> s_alive = true } /* ExecStopPost= or the next start */
#endif
    :: atomic { PID1_RUNS && s_hung -> kill_service() } /* WatchdogSec= */
    :: atomic { PID1_RUNS && K_GONE ->
        k_alive = true;
        if
        :: armed_by == 1 -> armed_by = 2
        :: else
        fi }
    od
}

/* --- whoever does harm -------------------------------------------------------------------------- */

proctype Harm()
{
    do
    :: atomic { faults < FAULTS && s_alive -> faults++; kill_service() }
    :: atomic { faults < FAULTS && k_alive -> faults++; kill_keeper() }
    :: atomic { faults < FAULTS && S_RUNS -> faults++; s_hung = true }
    :: atomic { faults < FAULTS && K_RUNS -> faults++; k_hung = true }
    :: atomic { s_hung -> s_hung = false }
    :: atomic { k_hung -> k_hung = false }
    :: atomic { true -> faults = FAULTS; break } /* whoever hangs now hangs for ever */
    od
}

#ifdef WINDOW
#define OPEN(i) true
#else
#define OPEN(i) (!laid_out || (s_alive && s != S_START && s != S_RECOVER && s != S_RESCUE && \
                               ledger[i] != INFLIGHT))
#endif

/* Another program that freezes filesystems, and thaws what it froze. */
proctype Others()
{
    byte times;

    do
    :: atomic { times < 1 && owner[0] == NOBODY && !inflight[0] && OPEN(0) ->
        times++; owner[0] = OTHERS }
    :: atomic { times < 1 && owner[1] == NOBODY && !inflight[1] && OPEN(1) ->
        times++; owner[1] = OTHERS }
    :: atomic { owner[0] == OTHERS -> owner[0] = NOBODY }
    :: atomic { owner[1] == OTHERS -> owner[1] = NOBODY }
    :: break
    od
}

init
{
    atomic {
        if
        :: depends = true
        :: skip
        fi;
        run Kernel(0); run Kernel(1); run Keeper(); run Service(); run Clocks(); run Manager();
        run Harm();
#ifdef OTHERS_TOO
        run Others()
#endif
    }
}

#define FROZEN_BY_US (owner[0] == OURS || owner[1] == OURS)

ltl thawed { [] (FROZEN_BY_US -> <> !FROZEN_BY_US) }
ltl released { [] (held -> <> !held) }
ltl ends { [] (laid_out -> <> !laid_out) }
