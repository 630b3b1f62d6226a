#!/bin/sh
# Checks that every source of agent/ and every test is named in Makefile.am: a test that is not
# named does not run, and nobody notices. Prints TAP. check-lists.sh [SOURCE-DIRECTORY]
set -u
cd "${1:-$(dirname "$0")/..}" || exit 1
missing=$(for file in agent/*.[ch] agent/*/*.[ch] tests/unit/test_*.c tests/integration/test_*.py \
    tests/check-*.sh tests/fake/*.c docs/man/*.[1-8]; do
    name=$file
    case $file in
    tests/unit/*.c) name=${file%.c} ;;
    tests/check-dist.sh) continue ;; # of the tarball
    esac
    grep -qE "(^|[[:space:]=])$name([[:space:]]|\$|\\.c)" Makefile.am || echo "# $file"
done)
echo "1..1"
if [ -z "$missing" ]; then
    echo "ok 1 - Makefile.am names every source and every test"
else
    echo "$missing"
    echo "not ok 1 - Makefile.am does not name these"
    exit 1
fi
