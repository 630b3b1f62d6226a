#!/usr/bin/env bash
# Checks how ./run installs packages where dnf rules and where apt does, with package managers that
# only write down what they are asked. Prints TAP. check-packages.sh [SOURCE-DIRECTORY]
set -u
top=$(cd "${1:-$(dirname "$0")/..}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0 failed=0

verdict() { # DESCRIPTION STATUS
    number=$((number + 1))
    if [ "$2" = 0 ]; then echo "ok $number - $1"; else
        echo "not ok $number - $1"
        sed 's/^/# /' "$work/asked" "$work/output"
        failed=1
    fi
}

program() { # NAME BODY
    printf '#!%s\n%s\n' "$(command -v bash)" "$2" >"$work/bin/$1"
    chmod 755 "$work/bin/$1"
}

machine() { # a machine that has nothing but these
    rm -rf "${work:?}/bin"
    mkdir "$work/bin"
    for tool in bash env dirname grep; do ln -s "$(command -v $tool)" "$work/bin/$tool"; done
    program id 'echo 0'
    : >"$work/asked"
}

packages() { PATH="$work/bin" "$work/bin/bash" "$top/run" packages "$@" >"$work/output" 2>&1; }

machine
# shellcheck disable=SC2016 # the program's own argument
program rpm '[ "$2" = gcc ]' # only gcc is installed
program dnf "echo \"dnf \$*\" >>$work/asked"
packages build && grep -q '^dnf -q -y install .*glib2-devel' "$work/asked" &&
    ! grep -q ' gcc ' "$work/asked"
verdict "dnf is asked for what is missing, and for nothing else" $?

machine
program rpm 'exit 0'
program dnf "echo \"dnf \$*\" >>$work/asked"
packages build vm lint && [ ! -s "$work/asked" ]
verdict "dnf is left alone where everything is there" $?

machine
program rpm 'exit 1'
program dnf 'echo "no such package" >&2; exit 1'
! packages build && grep -q 'no such package' "$work/output"
verdict "what dnf could not do ends it, in dnf's own words" $?

machine
program dpkg-query 'echo "deinstall ok config-files"'
program apt-get "echo \"apt-get \$*\" >>$work/asked"
packages lint && grep -q '^apt-get .*install -y .*clang cppcheck\|^apt-get .*install -y .*clang clang-format' "$work/asked"
verdict "apt is asked for what was removed but not purged" $?

machine
! packages build && grep -q 'neither apt-get nor dnf' "$work/output"
verdict "without either it says so" $?

echo "1..$number"
exit $failed
