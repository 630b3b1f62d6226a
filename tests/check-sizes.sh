#!/bin/sh
# Checks that no source file has more than 500 lines, no function of agent/ more than 60 and no header
# more than 70: what is longer has a second subject. Prints TAP. check-sizes.sh [SOURCE-DIRECTORY]
set -u
cd "${1:-$(dirname "$0")/..}" || exit 1
echo "1..3"
status=0

verdict() { # NUMBER DESCRIPTION FINDINGS
    if [ -z "$3" ]; then
        echo "ok $1 - $2"
    else
        echo "$3" | sed 's/^/# /'
        echo "not ok $1 - $2"
        status=1
    fi
}

long_files=$(find agent tests hooks.d windows run \
    \( -name '*.[ch]' -o -name '*.py' -o -name '*.sh' -o -name run \) -exec wc -l {} + |
    awk '$1 > 500 && $2 != "total" { print $2 ": " $1 " lines" }')
verdict 1 "files have at most 500 lines" "$long_files"

long_functions=$(find agent -name '*.c' -exec awk '
    FNR == 1 { begin = 0 }
    /^[a-zA-Z].*\(/ { name = $0 }
    /^\{/ { begin = FNR }
    /^\}/ { if (begin && FNR - begin > 61) print FILENAME ":" begin ": " name; begin = 0 }' {} +)
verdict 2 "functions have at most 60 lines" "$long_functions"

long_headers=$(find agent tests windows -name '*.h' -exec wc -l {} + |
    awk '$1 > 70 && $2 != "total" { print $2 ": " $1 " lines" }')
verdict 3 "headers have at most 70 lines" "$long_headers"
exit $status
