#!/bin/sh
# Replays the fuzz corpora through both targets; prints one TAP plan for all of them.
set -u
corpus=${SRCDIR:-.}/tests/fuzz/corpus
{
    tests/fuzz/replay_framer "$corpus/framer"
    echo "status $?"
    tests/fuzz/replay_request "$corpus/request"
    echo "status $?"
} | awk '
    /^(not )?ok/ { n++; sub(/ok [0-9]*/, "ok " n); print; next }
    /^status/ { if ($2 != 0) { n++; print "not ok " n " - a target ended with status " $2 } }
    END { print "1.." n; if (n < 10) { print "# too few corpus files"; exit 1 } }'
