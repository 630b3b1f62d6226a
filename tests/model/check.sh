#!/usr/bin/env bash
# Verifies tests/model/thaw.pml with spin, and that what must fail does. Prints TAP. Needs spin, gcc.
#
#   check.sh          every row of README.md's tables
#   check.sh NAME     one row; a counterexample is shown step by step
set -eu
model=$(cd "$(dirname "$0")" && pwd)/thaw.pml
only=${1:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0 failed=0

# Leaves a verifier for these defines in ./pan; the same ones are compiled once.
compile() { # KIND DEFINES...
    local directory kind=$1 options=(-DNFAIR=3)
    shift
    directory=$work/$kind$(IFS=; echo "$*")
    [ "$kind" != safety ] || options=(-DSAFETY -DNOCLAIM)
    mkdir -p "$directory"
    cd "$directory"
    [ -x pan ] && return
    spin "$@" -a "$model" >spin.log 2>&1
    gcc -O1 -w -DMEMLIM=3000 "${options[@]}" -o pan pan.c
}

# holds, fails, or what went wrong. A search that hit a limit has shown nothing.
verdict() {
    if grep -q '^pan:1: \(acceptance cycle\|assertion violated\)' pan.log; then
        echo fails
    elif ! grep -q 'errors: 0' pan.log; then
        echo "broke: $(grep -m1 -i error pan.log)"
    elif grep -qE 'too small|out of memory|not completed' pan.log; then
        echo "ran out: $(grep -m1 -E 'too small|out of memory' pan.log)"
    else
        echo holds
    fi
}

row() { # holds|fails NAME CLAIM DEFINES...
    local wanted=$1 name=$2 claim=$3 kind=fair got options
    shift 3
    [ -z "$only" ] || [ "$only" = "$name" ] || return 0
    options=(-a -f -N "$claim")
    [ "$claim" != others ] || kind=safety options=(-E)
    compile $kind "$@"
    ./pan "${options[@]}" -m2000000 >pan.log 2>&1 || true
    got=$(verdict)
    number=$((number + 1))
    if [ "$got" = "$wanted" ]; then
        echo "ok $number - $name: $claim $got, $(awk '/states, stored/ {print $1}' pan.log) states"
    else
        failed=$((failed + 1))
        echo "not ok $number - $name: $claim $got"
    fi
    if [ -n "$only" ] && [ "$got" = fails ]; then
        spin "$@" -t -k "$(ls ./*.trail)" -p -g "$model"
    fi
}

row holds thawed thawed
row holds released released
row holds ends ends
row holds others others -DOTHERS_TOO
row holds pid1-blocked thawed -DPID1_BLOCKS -DFAULTS=1
row fails pid1-blocked-and-both-die thawed -DPID1_BLOCKS
row fails no-recovery thawed -DNO_RECOVERY
row fails no-restart thawed -DNO_RESTART
row fails no-limit thawed -DNO_LIMIT
row fails thread-not-waited-for thawed -DNO_SETTLED
row fails thaws-all others -DTHAW_ALL -DOTHERS_TOO
row fails window others -DWINDOW -DOTHERS_TOO
echo "1..$number"
echo "$((number - failed)) passed, $failed failed"
[ "$failed" = 0 ]
