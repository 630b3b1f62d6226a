#!/bin/sh
# Checks that a distribution directory has every file that git tracks in the source directory, so
# that a test or a document forgotten in Makefile.am does not go missing unnoticed. Run by make dist:
# check-dist.sh SOURCE-DIRECTORY DISTRIBUTION-DIRECTORY. Outside of a checkout there is nothing to
# compare with.
set -u
source=$1
made=$2

[ -e "$source/.git" ] || exit 0
tracked=$(git -C "$source" ls-files) || {
    echo "check-dist: git cannot list $source; the tarball was not checked"
    exit 0
}
missing=$(printf '%s\n' "$tracked" | while read -r file; do
    [ "$file" = .gitignore ] || [ -e "$made/$file" ] || echo "$file"
done)
[ -z "$missing" ] && exit 0
printf 'check-dist: not in the tarball, see EXTRA_DIST in Makefile.am:\n%s\n' "$missing" >&2
exit 1
