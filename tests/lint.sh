#!/usr/bin/env bash
# Static checks of the whole tree: clang-format, cppcheck, shellcheck, gcc -fanalyzer and clang with
# warnings as errors. Stops at the first kind that finds something.
set -eu
cd "$(dirname "$0")/.."
jobs=$(nproc)
say() { printf '==> lint: %s\n' "$*"; }

mapfile -t sources < <(find agent tests -name '*.c')
mapfile -t headers < <(find agent tests -name '*.h')
mapfile -t hooks < <(find hooks.d -type f ! -name '*.conf')
generated=$(mktemp -d)
trap 'rm -rf "$generated"' EXIT
mkdir "$generated/bus"
gdbus-codegen --pragma-once --interface-info-header --output "$generated/bus/interface.h" \
    agent/bus/org.quiesced.xml
read -r -a packages < <(pkg-config --cflags glib-2.0 gio-unix-2.0 jansson mount libsystemd)
flags=(-std=gnu11 -D_GNU_SOURCE -DPACKAGE_VERSION='"lint"' -DSYSCONFDIR='"/etc"'
    -DLIBEXECDIR='"/usr/libexec"' -DSRCDIR='"."' -Iagent -Itests -I"$generated" -Wall -Wextra -Werror -Wshadow
    -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wformat=2 -Wundef "${packages[@]}")

say "clang-format"
clang-format --dry-run -Werror "${sources[@]}" "${headers[@]}"

say "shellcheck"
shellcheck run .ci/run tests/*.sh tests/model/*.sh tests/package/*.sh packaging/*.sh \
    packaging/deb/*.post* "${hooks[@]}"

say "cppcheck"
cppcheck -j "$jobs" --quiet --error-exitcode=1 --inline-suppr --std=c11 --library=gnu --library=posix \
    --library=gtk --enable=warning,portability --suppress=missingIncludeSystem \
    --suppress=unknownMacro --suppress=readdirCalled --suppress=memleak --suppress=nullPointer \
    --suppress=leakReturnValNotUsed --suppress=invalidFunctionArg --suppress=nullPointerArithmeticRedundantCheck -Iagent agent

say "clang"
printf '%s\0' "${sources[@]}" | xargs -0 -n 8 -P "$jobs" clang "${flags[@]}" -fsyntax-only

say "gcc -fanalyzer"
printf '%s\0' agent/*.c agent/*/*.c |
    xargs -0 -n 1 -P "$jobs" gcc "${flags[@]}" -O1 -fanalyzer -c -o /dev/null
say "clean"
