#!/bin/sh
# Checks that includes in agent/ go only to the same folder or one further down, that the portable
# core stays free of GLib and POSIX, and that nothing outside main.c depends on the platform.
# Prints TAP. Run from anywhere: check-layers.sh [SOURCE-DIRECTORY]
set -u
top=${1:-$(dirname "$0")/..}
cd "$top/agent" || exit 1
problems=0

complain() {
    echo "# $1"
    problems=$((problems + 1))
}

# Folders a file of each folder may include from, besides its own.
below() {
    case $1 in
    .) echo "commands bus quiesce sys proto base keeper/message.h" ;;
    ctl) echo "quiesce sys proto base" ;;
    commands) echo "bus quiesce sys proto base keeper/message.h" ;;
    bus) echo "quiesce sys proto base keeper/message.h" ;;
    quiesce) echo "sys proto base keeper/message.h" ;;
    sys) echo "proto base keeper/message.h" ;;
    proto) echo "base" ;;
    base | keeper) echo "" ;;
    esac
}

for file in *.[ch] */*.[ch]; do
    [ -f "$file" ] || continue
    folder=$(dirname "$file")
    allowed=$(below "$folder")
    # shellcheck disable=SC2013 # includes have no blanks
    for include in $(sed -n 's/^#include "\(.*\)"/\1/p' "$file"); do
        from=$(dirname "$include")
        [ "$from" = "$folder" ] && continue
        ok=no
        for entry in $allowed; do
            if [ "$entry" = "$from" ] || [ "$entry" = "$include" ]; then ok=yes; fi
        done
        [ $ok = yes ] || complain "$file includes $include, which is not below it"
    done
done

for file in proto/*.[ch] quiesce/machine*.[ch] base/text.[ch] keeper/*.[ch]; do
    grep -nE '#include <(glib|gio)' "$file" | while read -r line; do echo "# $file: $line"; done |
        grep . && complain "$file uses GLib; it must not"
done
for file in proto/*.[ch] quiesce/machine*.[ch] base/text.[ch]; do
    grep -nE '#include <(unistd|sys/|fcntl|poll|pthread)' "$file" &&
        complain "$file uses POSIX; the portable core must build with mingw"
done
if grep -rn '_WIN32' . ; then complain "_WIN32 inside agent/; windows/ has its own files"; fi

echo "1..1"
if [ $problems -eq 0 ]; then
    echo "ok 1 - includes go down the layers only"
else
    echo "not ok 1 - $problems breaches of the layers"
    exit 1
fi
