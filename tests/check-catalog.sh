#!/bin/sh
# Every MESSAGE_ID of the code is explained in the catalog, and the reverse. Prints TAP.
# Run from anywhere: check-catalog.sh [SOURCE-DIRECTORY]
set -u
cd "${1:-$(dirname "$0")/..}" || exit 1
code=$(grep -rhoE '"[0-9a-f]{32}"' agent | tr -d '"' | sort)
catalog=$(sed -n 's/^-- \([0-9a-f]\{32\}\)$/\1/p' systemd/quiesced.catalog | sort)

echo "1..1"
if [ -n "$code" ] && [ "$code" = "$catalog" ]; then
    echo "ok 1 - code and catalog have the same message ids"
else
    printf '%s\n' "$code" | sed 's/^/# code: /'
    printf '%s\n' "$catalog" | sed 's/^/# catalog: /'
    echo "not ok 1 - code and catalog have the same message ids"
    exit 1
fi
